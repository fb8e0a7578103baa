//! `leitmotif completions` and `manual`: what a package of the command installs beside it.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::files;

#[derive(clap::Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

#[derive(clap::Args)]
pub(crate) struct Manual {
    /// Folder for the pages, created if missing
    folder: PathBuf,
}

impl Completions {
    pub(crate) fn run(&self, mut command: Command) -> anyhow::Result<ExitCode> {
        // Into memory first: the generator panics where it cannot write.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "leitmotif", &mut script);
        io::stdout().write_all(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Manual {
    pub(crate) fn run(&self, mut command: Command) -> anyhow::Result<ExitCode> {
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("{} cannot be created", self.folder.display()))?;
        command.build();
        let subcommands = command.get_subcommands().filter(|page| page.get_name() != "help");
        for page in [&command].into_iter().chain(subcommands) {
            let page = Man::new(page.clone());
            let mut text = Vec::new();
            page.render(&mut text)?;
            files::replace(&self.folder.join(page.get_filename()), &text)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
