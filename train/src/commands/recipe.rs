//! `fit --recipe` and `--config`: the settings of a file, as if they had been typed before those of the command line.
//!
//! Both are TOML files whose keys are `fit`'s own options, so that there is one list of settings, one check and one set of
//! names; a recipe is such a file with a name. Every run has one with all of its settings (`learn/settings.rs`).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use clap::Args;

use super::fit::{self, FitArgs};
use crate::learn::config::FitConfig;

/// The recipes that come with the program.
pub const RECIPES: [(&str, &str); 4] = [
    ("small", include_str!("../../recipes/small.toml")),
    ("compact", include_str!("../../recipes/compact.toml")),
    ("large", include_str!("../../recipes/large.toml")),
    ("paper", include_str!("../../recipes/paper.toml")),
];

/// Options of `fit` that name files and machines, not settings.
const NOT_SETTINGS: [&str; 19] = [
    "split",
    "out",
    "resume",
    "recipe",
    "config",
    "dry-run",
    "auxiliary",
    "device",
    "threads",
    "ranks",
    "rank-timeout",
    "checkpoint-minutes",
    "keep-checkpoints",
    "start-from",
    "other-split",
    "freeze-convolutions",
    "json",
    "tensorboard",
    "view",
];

/// Similarity (Jaro) from which a name may have been meant.
const LIKE: f64 = 0.7;

/// A program's arguments with the options of the recipe and the configuration file that they name, if any, in front of
/// their own, which win; the file's win over the recipe's.
///
/// # Errors
///
/// A recipe or file that is not there, is not TOML, or has a key that is no setting.
pub fn expand(arguments: Vec<OsString>) -> anyhow::Result<Vec<OsString>> {
    if arguments.get(1).is_none_or(|command| command != "fit") {
        return Ok(arguments);
    }
    let is_resumed =
        arguments.iter().any(|argument| argument.as_encoded_bytes().starts_with(b"--resume"));
    let mut settings = toml::Table::new();
    for (option, read) in [("--recipe", recipe as fn(&OsStr) -> _), ("--config", file)] {
        let Some(value) = value_of(option, &arguments) else { continue };
        if is_resumed {
            bail!("{option} is for a new run: one that is resumed keeps its settings");
        }
        settings.extend(read(&value)?);
    }
    let settings = options(&settings)?;
    let (program, own) = arguments.split_at(2);
    Ok(program.iter().cloned().chain(settings).chain(own.iter().cloned()).collect())
}

/// The settings of a recipe, of which `changes` change some.
///
/// # Errors
///
/// As [`expand`], as text.
pub(crate) fn config(name: &str, changes: &toml::Table) -> Result<FitConfig, String> {
    let settings = || {
        let mut settings = recipe(OsStr::new(name))?;
        settings.extend(changes.clone());
        options(&settings)
    };
    fit::config(name, settings().map_err(|error: anyhow::Error| format!("{error:#}"))?)
}

/// The value of an option, given as `NAME VALUE` or `NAME=VALUE`, the last if there are several.
fn value_of(name: &str, arguments: &[OsString]) -> Option<OsString> {
    let with_sign = format!("{name}=").into_bytes();
    let mut value = None;
    for (argument, next) in arguments.iter().zip(arguments.iter().skip(1).map(Some).chain([None])) {
        if argument == name {
            value = next.cloned();
        } else if let Some(bytes) = argument.as_bytes().strip_prefix(with_sign.as_slice()) {
            value = Some(OsStr::from_bytes(bytes).to_owned());
        }
    }
    value
}

/// The settings of a recipe.
fn recipe(recipe: &OsStr) -> anyhow::Result<toml::Table> {
    if let Some((_, text)) = RECIPES.iter().find(|(name, _)| recipe == *name) {
        return parse(text).with_context(|| format!("recipe {}", recipe.display()));
    }
    if Path::new(recipe).extension().is_some_and(|e| e == "toml") {
        return file(recipe);
    }
    let names: Vec<&str> = RECIPES.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    bail!("there is no recipe `{}`; there are {names}, or name a TOML file", recipe.display())
}

/// The settings in a file; a network's file lies beside it, if its path is relative.
fn file(path: &OsStr) -> anyhow::Result<toml::Table> {
    let path = Path::new(path);
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the settings in {}", path.display()))?;
    let mut table = parse(&text).with_context(|| path.display().to_string())?;
    let folder = path.parent().unwrap_or(Path::new(""));
    if let Some(toml::Value::String(network)) = table.get_mut("network")
        && Path::new(network).extension().is_some_and(|e| e == "toml")
    {
        *network = folder.join(&*network).to_string_lossy().into_owned();
    }
    Ok(table)
}

/// Settings that [`options`] takes.
fn parse(text: &str) -> anyhow::Result<toml::Table> {
    let table = text.parse().context("is not TOML")?;
    // The values are checked here, where their file is known, and again among those of the command line.
    let config = fit::config("", options(&table)?);
    let config = config.map_err(|error| {
        anyhow!(error.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned())
    })?;
    config.check()?;
    Ok(table)
}

/// What settings stand for on the command line.
fn options(table: &toml::Table) -> anyhow::Result<Vec<OsString>> {
    let settings = settings();
    let mut options = Vec::new();
    for (key, value) in table {
        if key == "description" {
            continue;
        }
        if !settings.contains(key) {
            let likeness = |known: &&String| strsim::jaro(known, key);
            if NOT_SETTINGS.contains(&key.as_str()) {
                bail!("`{key}` is no setting of a run: give --{key} on the command line");
            }
            if value.is_table() {
                bail!("`{key}` is a table: settings stand by themselves, without [{key}]");
            }
            let near = settings.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
            match near.filter(|near| likeness(near) > LIKE) {
                Some(near) => bail!("`{key}` is no setting; did you mean `{near}`?"),
                None => bail!("`{key}` is no setting; `fit --help` lists them"),
            }
        }
        if key == "network" && !value.is_str() {
            bail!("`network` is {}, not a preset's name or a file's", value.type_str());
        }
        options.push(match value {
            toml::Value::Boolean(true) => format!("--{key}"),
            toml::Value::Boolean(false) if key == "polarity" => "--polarity=false".to_owned(),
            toml::Value::Boolean(false) => continue,
            toml::Value::String(text) => format!("--{key}={text}"),
            toml::Value::Integer(number) => format!("--{key}={number}"),
            toml::Value::Float(number) => format!("--{key}={number}"),
            other => bail!("`{key}` is {}, not a number, text or true", other.type_str()),
        });
    }
    Ok(options.into_iter().map(OsString::from).collect())
}

/// The names of all settings: `fit`'s options but those for files and machines.
fn settings() -> Vec<String> {
    let command = FitArgs::augment_args(clap::Command::new("fit"));
    let names = command.get_arguments().filter_map(|argument| argument.get_long());
    names.filter(|name| !NOT_SETTINGS.contains(name)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn;

    fn expanded(arguments: &[&str]) -> anyhow::Result<Vec<String>> {
        let arguments = arguments.iter().map(OsString::from).collect();
        Ok(expand(arguments)?.into_iter().map(|a| a.into_string().unwrap()).collect())
    }

    #[test]
    fn a_recipes_options_come_before_those_of_the_command_line() {
        let found =
            expanded(&["leitmotif-train", "fit", "data", "--recipe", "compact", "--rate=9"]);
        let found = found.unwrap();
        assert_eq!(found[..2], ["leitmotif-train", "fit"]);
        assert_eq!(found[found.len() - 4..], ["data", "--recipe", "compact", "--rate=9"]);
        for option in ["--network=compact", "--batch=192", "--polarity", "--rate=0.002"] {
            assert!(
                found[2..found.len() - 4].iter().any(|one| one == option),
                "{option}: {found:?}"
            );
        }
    }

    #[test]
    fn other_commands_and_runs_without_a_recipe_are_left_alone() {
        for arguments in [
            &["leitmotif-train", "fit", "data", "--out", "run"][..],
            &["leitmotif-train", "evaluate", "--recipe", "small"],
            &["leitmotif-train"],
        ] {
            assert_eq!(expanded(arguments).unwrap(), arguments);
        }
    }

    #[test]
    fn every_recipe_is_made_of_settings() {
        for (name, _) in RECIPES {
            assert!(!recipe(name.as_ref()).unwrap().is_empty(), "{name}");
        }
    }

    #[test]
    fn wrong_recipes_are_named_with_what_would_be_right() {
        for (arguments, message) in [
            (&["", "fit", "--recipe=smal"][..], "there are small, compact, large, paper"),
            (&["", "fit", "--recipe=gone.toml"], "cannot read the settings in gone.toml"),
            (&["", "fit", "--config", "gone.toml"], "cannot read the settings in gone.toml"),
            (&["", "fit", "--recipe=small", "--resume=run"], "keeps its settings"),
            (&["", "fit", "--config=a.toml", "--resume=run"], "keeps its settings"),
        ] {
            let error = format!("{:#}", expanded(arguments).unwrap_err());
            assert!(error.contains(message), "{error}");
        }
        let error = parse("bacth = 3").unwrap_err().to_string();
        assert!(error.contains("did you mean `batch`?"), "{error}");
        assert!(parse("out = \"run\"").is_err(), "files are no settings");
        assert!(parse("batch = [1]").unwrap_err().to_string().contains("array"));
    }

    #[test]
    fn a_runs_own_file_stands_for_all_of_its_settings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let found = |config: &FitConfig| {
            std::fs::write(&path, learn::settings::text(config)).unwrap();
            let options = options(&file(path.as_os_str()).unwrap()).unwrap();
            (fit::config("", options.clone()).unwrap(), options)
        };
        let unnamed = |config| FitConfig { recipe: Some(String::new()), ..config };
        let recipes = RECIPES.iter().map(|(name, _)| config(name, &toml::Table::new()));
        let mut configs: Vec<FitConfig> = recipes.map(|found| unnamed(found.unwrap())).collect();
        configs.push(unnamed(FitConfig::default()));
        let (mut odd, seed, patience) = (configs[0].clone(), u64::MAX, Some(3));
        odd.augmentation.noise = Some(12.5);
        configs.push(FitConfig { seed, patience, watch_test: true, segments: Some(2), ..odd });
        for config in configs {
            let (read, options) = found(&config);
            assert_eq!(read, config);
            let network = format!("--network={}", folder.path().join("network.toml").display());
            assert!(options.contains(&network.into()), "{options:?}");
        }
        let text = learn::settings::text(&FitConfig::default());
        for name in settings().iter().filter(|name| *name != "head") {
            let there = text
                .lines()
                .any(|line| line.trim_start_matches("# ").split(' ').next() == Some(name.as_str()));
            assert!(there, "{name} is missing: {text}");
        }
    }

    #[test]
    fn a_files_settings_win_over_a_recipes_and_lose_to_the_command_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, "rate = 3").unwrap();
        let path = path.to_str().unwrap();
        let found =
            expanded(&["", "fit", "--config", path, "--rate=9", "--recipe", "compact"]).unwrap();
        let rates: Vec<&String> = found.iter().filter(|one| one.starts_with("--rate")).collect();
        assert_eq!(rates, ["--rate=3", "--rate=9"]);
        std::fs::write(path, "polarity = false\ndeterministic = false").unwrap();
        let found = expanded(&["", "fit", "--recipe", "compact", "--config", path]).unwrap();
        assert!(!found.contains(&"--polarity".to_owned()), "{found:?}");
    }

    #[test]
    fn an_experiment_changes_settings_of_a_recipe() {
        let of = |text: &str| config("compact", &text.parse().unwrap());
        let found = of("mixup = 0\npolarity = false\nweight-average = 0.0").unwrap();
        let augmentation = found.augmentation;
        assert_eq!(
            (augmentation.mixup, augmentation.polarity, augmentation.gain),
            (0.0, false, 6.0)
        );
        assert_eq!((found.epochs, found.steps_per_epoch), (20, Some(250)));
        assert_eq!((found.weight_average, found.recipe.as_deref()), (Some(0.0), Some("compact")));
        assert!(of("mixed = 1").unwrap_err().contains("did you mean `mixup`"));
        assert!(of("mixup = \"much\"").unwrap_err().contains("--mixup"));
        assert!(config("medium", &toml::Table::new()).unwrap_err().contains("no recipe `medium`"));
    }
}
