# Every target for people; `make` alone lists them. The work is in scripts/. Times are of two CPU cores and a fast network.
.DEFAULT_GOAL := help
.PHONY: help cli wheel web demo test check-all zoo bench bench-peers gpu-bundle setup peers doctor clean
# MUSIC=FOLDER: the demo uses your own tagged music.
export MUSIC

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

cli: ## the command `leitmotif` alone, in target/release, without libtorch: 2 min
	scripts/setup runtime
	cargo build --release -p leitmotif --features cli

web: ## the page of runtime/web, in target/web: recognises songs in the browser, opens offline, needs no server but a file server: 1 min
	scripts/web

wheel: ## the Python wheel, for every Python from 3.11 on, in target/wheels, without libtorch: 2 min
	scripts/wheel

demo: setup ## real music, two trained networks, .onnx files, artists identified (MUSIC=FOLDER for your own): 10 to 16 min, 8 once set up
	cargo build --release --bins -p leitmotif-train -p leitmotif-export -p leitmotif --features leitmotif/cli
	scripts/demo

test: ## set-up and every core check: format, lints, tests, documentation, licences: 9 to 20 min, 5 once built
	scripts/setup test
	scripts/test

check-all: test ## also every slow check of scripts/check-all.d: 20 to 55 min once set up
	scripts/check-all

zoo: demo ## train the committed model of models/zoo anew, with 2.2 GB more music of others: 15 min after `make demo`
	scripts/zoo

bench: ## our speed and the machine's limits, into benches/results and benches/README.md: 10 to 15 min
	scripts/setup bench
	since=$$(date +%s) && cargo bench -p leitmotif-benches --bench '*' && cargo run --release -p leitmotif-benches --bin table -- --since $$since

bench-peers: ## our speed to ffmpeg's, Python's and PyTorch's, into benches/results and the documents: 15 min after `make peers`
	scripts/setup peers
	cargo build --release -p leitmotif-benches -p leitmotif-train
	benches/peers/run

gpu-bundle: setup ## what measuring on a GPU box needs, in one file of at most 45 MiB (target/gpu-bundle.tar.xz), after `make demo`: 2 min
	scripts/gpu-bundle

setup: ## fetch libtorch and ONNX Runtime into .deps (1.3 GB, pinned, hashes checked): 1 min, once
	scripts/setup

peers: ## fetch the packages of the Python comparison scripts into .deps (5 GB): 2 min, once
	scripts/setup peers

doctor: ## name what this machine lacks, with its Debian package: a second
	@scripts/doctor

clean: ## remove target; .deps, the downloads, stays: a second
	cargo clean
