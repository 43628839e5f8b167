//! Components that are tried in the place of the registry's.
//!
//! Owns what a registry becomes for them, and for what a process reaches beside it. Must not know what is run on them.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::print::Message;
use airlock::config::{ConfigFile, ToolConfig};
use airlock_types::grant::{Access, FilesGrant, Grants};

/// The path of a component to try, whatever the working folder becomes.
///
/// # Errors
/// When it leads nowhere.
pub(super) fn absolute(component: &Path) -> Result<PathBuf, Message> {
    component
        .canonicalize()
        .map_err(|err| Message(format!("the component `{}` cannot be read: {err}", component.display())))
}

/// The registry as it is, and with other components that are not those of a tool: a process that is confined as it says
/// reaches them.
pub(super) fn reaching(file: &ConfigFile, components: &[PathBuf]) -> ConfigFile {
    let mut reaching = file.clone();
    let Some(entry) = file.config.tools.values().next() else { return reaching };
    for (number, component) in components.iter().enumerate() {
        let mut entry = entry.clone();
        entry.component = Spanned::new(0..0, component.clone());
        reaching.config.tools.insert(Spanned::new(0..0, format!("component {number} to try")), entry);
    }
    reaching
}

/// The registry as it is, and with a folder that none of its tools reaches: a process that is confined as it says reads and
/// writes there.
pub(super) fn reaching_folder(file: &ConfigFile, folder: &Path) -> ConfigFile {
    let mut reaching = file.clone();
    let Some(entry) = file.config.tools.values().next() else { return reaching };
    let grant = FilesGrant {
        host: folder.to_owned(),
        guest: "/folder".to_owned(),
        access: Access::ReadWrite,
        bytes_max: None,
        files_max: None,
        file_bytes_max: None,
    };
    let mut entry = entry.clone();
    entry.grants = Some(Spanned::new(0..0, Grants { files: vec![grant], ..Grants::default() }));
    reaching.config.tools.insert(Spanned::new(0..0, "folder to reach".to_owned()), entry);
    reaching
}

/// The entries that may show a tool, with this component. Alone: the other entries may be broken, and would be compiled for
/// nothing.
pub(super) fn in_place(file: &ConfigFile, tool: &str, component: &Path) -> ConfigFile {
    with_component(alone(file, |key, config| config.may_show(key, tool)), component)
}

/// Refuses the name of a tool that no recorded call has, if no registry shows such a tool: nothing would look like all is well.
pub(super) fn known(tool: Option<&str>, calls: u64, files: &[&ConfigFile]) -> Result<(), Message> {
    let shows = |tool: &str| {
        let mut entries = files.iter().flat_map(|file| &file.config.tools);
        entries.any(|(key, config)| config.may_show(key.get_ref(), tool))
    };
    match tool {
        Some(tool) if calls == 0 && !shows(tool) => Err(Message(format!(
            "there is no tool `{tool}`, neither in the registry nor in these records; `airlock tools` lists them"
        ))),
        _ => Ok(()),
    }
}

/// The entries of a registry that are kept, each by itself: a replay of one has no part in fallbacks, and asks no rule that holds
/// calls. Such a rule may name tools of the other entries, or what another component does not have.
pub(super) fn alone(file: &ConfigFile, is_kept: impl Fn(&str, &ToolConfig) -> bool) -> ConfigFile {
    let mut part = file.clone();
    part.config.tools.retain(|key, config| is_kept(key.get_ref(), config));
    part.config.holds.clear();
    for config in part.config.tools.values_mut() {
        config.fallback = Default::default();
        config.verify = None;
        config.hold.clear();
    }
    part
}

/// The registry with this component in each of its entries.
pub(super) fn with_component(mut file: ConfigFile, component: &Path) -> ConfigFile {
    for config in file.config.tools.values_mut() {
        config.component = Spanned::new(0..0, component.to_owned());
    }
    file
}
