# Every target that a person types; `make` alone lists them. The work is in scripts/.
.DEFAULT_GOAL := help
.PHONY: help demo test check-all bench bench-peers gpu-bundle setup peers doctor clean
# MUSIC=FOLDER: the demo uses your own tagged music.
export MUSIC

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

demo: setup ## music in, two trained networks, .onnx files, and who plays (MUSIC=FOLDER for your own)
	cargo build --release --bins -p leitmotif-train -p leitmotif-export -p leitmotif --features leitmotif/cli
	scripts/demo

test: ## set-up, then every core check: format, lints, tests, documentation, licences
	scripts/setup test
	scripts/test

check-all: test ## also what is slow: every script of scripts/check-all.d
	scripts/check-all

bench: ## our own speed and the machine's limits; writes benches/results and README's table
	scripts/setup bench
	since=$$(date +%s) && cargo bench -p leitmotif-benches --bench '*' && cargo run --release -p leitmotif-benches --bin table -- --since $$since

bench-peers: ## our speed as ratios to ffmpeg, Python and PyTorch, alternating; writes benches/results and README's tables
	scripts/setup peers
	cargo build --release -p leitmotif-benches -p leitmotif-train
	benches/peers/run

gpu-bundle: setup ## everything that measuring on a GPU box needs, in one folder of at most 40 MiB (target/gpu-bundle)
	scripts/gpu-bundle

setup: ## fetch libtorch and ONNX Runtime into .deps (pinned, hashes checked); a second run does nothing
	scripts/setup

peers: ## fetch what Python comparison scripts import (about 5 GB) into .deps
	scripts/setup peers

doctor: ## name what this machine lacks, and the Debian package that brings it
	@scripts/doctor

clean: ## remove what was built; .deps, the downloads, stays
	cargo clean
