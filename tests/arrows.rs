//! Which top-level modules of the verifier import each other. Arrows go one way (docs/architecture.md); what is still tied is
//! listed here, so that a new circle fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Tied by the types of the settings, which stand in `config` and not in the stages that they are for. This list may only
/// become shorter.
const STILL_TIED: [&[&str]; 1] = [&["appraise", "config", "launch", "measure", "watch"]];

type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn no_modules_import_each_other_but_those_that_are_known_to() {
    let graph = graph(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    assert!(graph.len() > 20 && graph["watch"].contains("launch"), "{graph:?}");
    let found = circles(&graph);
    for circle in &found {
        for module in circle {
            let within: Vec<_> = graph[module].intersection(circle).collect();
            println!("{module} imports {within:?}");
        }
    }
    let known: Vec<BTreeSet<String>> =
        STILL_TIED.iter().map(|circle| circle.iter().map(|name| (*name).to_owned()).collect()).collect();
    assert_eq!(found, known, "a new circle, or one that is gone and has to leave the list");
}

#[test]
fn a_circle_is_seen_through_braces_and_super_and_not_through_tests() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    write("lib.rs", "pub mod a;\npub mod b;\npub mod c;\npub mod d;\n");
    write("a.rs", "use crate::{d, b::{self, Of}};\n");
    write("b/part.rs", "//! Not [`crate::d`].\nuse super::super::c::Of;\nuse super::d;\n");
    write("b.rs", "#[cfg(test)]\nmod only;\n");
    write("b/only.rs", "use crate::d;\n");
    write("c.rs", "fn f() { crate::a::f(); }\n");
    write("d.rs", "use super::e;\n\n#[cfg(test)]\nmod tests {\n    use crate::a;\n}\n");
    write("e.rs", "use std::io;\n");
    let found = circles(&graph(folder.path()));
    assert_eq!(found, [BTreeSet::from(["a", "b", "c"].map(str::to_owned))]);
}

/// Modules that reach each other, in groups.
fn circles(graph: &Graph) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<String>> = graph.keys().map(|from| (from, reached(graph, from))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for (from, to) in &reached {
        let circle: BTreeSet<String> = to.iter().filter(|module| reached[module].contains(*from)).cloned().collect();
        if !circle.is_empty() && !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

/// What a module imports, and what that does; itself only where a circle leads back.
fn reached(graph: &Graph, from: &str) -> BTreeSet<String> {
    let (mut found, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(module) = next.pop() {
        next.extend(graph[&module].iter().filter(|module| found.insert((*module).clone())).cloned());
    }
    found
}

fn graph(src: &Path) -> Graph {
    let mut files = BTreeMap::new();
    read(src, &mut files);
    let only_tests: Vec<PathBuf> = files.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let mut graph = Graph::new();
    for (path, text) in &files {
        let module = path.with_extension("");
        let parts: Vec<_> =
            module.strip_prefix(src).expect("below it").iter().map(|part| part.to_string_lossy()).collect();
        if matches!(&*parts[0], "lib" | "main") || only_tests.iter().any(|tests| module.starts_with(tests)) {
            continue;
        }
        graph.entry(parts[0].to_string()).or_default().extend(imports(&without_tests(text), parts.len()));
    }
    let modules: BTreeSet<String> = graph.keys().cloned().collect();
    for (module, imported) in &mut graph {
        imported.retain(|name| modules.contains(name) && name != module);
    }
    graph
}

fn read(folder: &Path, files: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).expect("listed") {
        let path = entry.expect("listed").path();
        if path.is_dir() {
            read(&path, files);
        } else if path.extension().is_some_and(|found| found == "rs") {
            let text = fs::read_to_string(&path).expect("read");
            files.insert(path, text);
        }
    }
}

/// The files of `#[cfg(test)] mod name;`.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let named = text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| {
        let rest = rest.strip_prefix("pub(crate) ").unwrap_or(rest).strip_prefix("mod ")?;
        let (name, _) = rest.split_once(';')?;
        name.chars().all(|c| c.is_alphanumeric() || c == '_').then(|| path.with_extension("").join(name))
    });
    named.collect()
}

/// Without comments, and without the module of tests that ends a file.
fn without_tests(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end].lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The top-level modules that a file names, so many levels below the root: after `crate::`, and after so many `super::`.
fn imports(text: &str, depth: usize) -> BTreeSet<String> {
    let up = "super::".repeat(depth);
    let mut found = BTreeSet::new();
    for root in ["crate::", &up] {
        for (at, _) in text.match_indices(root) {
            // `my_crate::` and a longer row of `super::` name something else.
            if !text[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':')) {
                found.extend(names(&text[at + root.len()..]));
            }
        }
    }
    found
}

/// `name::…`, or the names that begin the parts of `{…}`.
fn names(path: &str) -> Vec<String> {
    let Some(list) = path.strip_prefix('{') else { return vec![first_name(path)] };
    let (mut parts, mut depth) = (vec![String::new()], 1);
    for character in list.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => parts.push(String::new()),
            character => parts.last_mut().expect("the first is there").push(character),
        }
        if depth == 0 {
            break;
        }
    }
    parts.iter().map(|part| first_name(part)).collect()
}

fn first_name(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
