//! The text of a world: a function for each published one, and a named type for each object and choice in them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::label::{Labels, written};
use crate::shape::{Field, Function, Node, Shape};
use airlock_types::text::is_hidden;

/// Columns of a doc comment's line, at most.
const COLUMNS: usize = 110;

/// Writes the world. `name` is that of the package.
pub(crate) fn write(name: &str, functions: &[Function]) -> String {
    let mut writer = Writer::default();
    // Functions first, so that no type takes a name that an export has.
    functions.iter().for_each(|function| drop(writer.labels.take(&function.label)));
    let exports: Vec<String> = functions.iter().map(|function| writer.function(function)).collect();
    let package = Labels::default().take(name);
    let mut text = format!("package imported:{}@0.1.0;\n\nworld tools {{\n", written(&package));
    let parts: Vec<String> = writer.types.into_iter().chain(exports).collect();
    text.push_str(&parts.join("\n"));
    text.push_str("}\n");
    text
}

#[derive(Default)]
struct Writer {
    labels: Labels,
    types: Vec<String>,
    /// The types that are written, by their text without the name: the same object in two functions is one type.
    known: BTreeMap<String, String>,
}

impl Writer {
    fn function(&mut self, function: &Function) -> String {
        let mut text = docs(function.description.as_deref().or(function.title.as_deref()), 4);
        let params: Vec<String> = function
            .params
            .iter()
            .map(|param| {
                let ty = self.field(param, &function.label);
                format!(
                    "{}        {}: {ty},\n",
                    docs(param.node.description.as_deref(), 8),
                    written(&param.label)
                )
            })
            .collect();
        let result = match &function.result {
            Some(node) => self.ty(node, &format!("{}-result", function.label)),
            None => "string".to_owned(),
        };
        let params = if params.is_empty() { String::new() } else { format!("\n{}    ", params.concat()) };
        let _ = writeln!(
            text,
            "    export {}: func({params}) -> result<{result}, string>;",
            written(&function.label)
        );
        text
    }

    fn field(&mut self, field: &Field, owner: &str) -> String {
        let ty =
            self.ty(&Node { is_nullable: false, ..field.node.clone() }, &format!("{owner}-{}", field.label));
        // What has a default is there in any case.
        let is_there = field.default.is_some() || field.is_required && !field.node.is_nullable;
        if is_there { ty } else { format!("option<{ty}>") }
    }

    /// The type of a node. A type that needs a name gets it from `name`.
    fn ty(&mut self, node: &Node, name: &str) -> String {
        let ty = match &node.shape {
            Shape::Bool => "bool".to_owned(),
            Shape::Int(width) => (*width).to_owned(),
            Shape::Float => "f64".to_owned(),
            Shape::Text | Shape::Free(_) => "string".to_owned(),
            Shape::List(item) => format!("list<{}>", self.ty(item, &format!("{name}-item"))),
            Shape::Enum(cases) => {
                let cases = cases.iter().map(|(label, _)| format!("        {},\n", written(label)));
                self.named("enum", name, node, &cases.collect::<String>())
            }
            Shape::Record { fields, .. } => {
                let fields = fields.iter().map(|field| {
                    let ty = self.field(field, name);
                    let docs = docs(field.node.description.as_deref(), 8);
                    format!("{docs}        {}: {ty},\n", written(&field.label))
                });
                let fields = fields.collect::<String>();
                self.named("record", name, node, &fields)
            }
        };
        if node.is_nullable { format!("option<{ty}>") } else { ty }
    }

    fn named(&mut self, kind: &str, name: &str, node: &Node, body: &str) -> String {
        let key = format!("{kind} {body}");
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let label = self.labels.take(node.name.as_deref().unwrap_or(name));
        let docs = docs(node.description.as_deref(), 4);
        self.types.push(format!("{docs}    {kind} {} {{\n{body}    }}\n", written(&label)));
        self.known.insert(key, written(&label));
        written(&label)
    }
}

/// A doc comment. The text is of a stranger: characters that WIT refuses are left out.
fn docs(text: Option<&str>, indent: usize) -> String {
    let mut lines = String::new();
    for line in text.unwrap_or_default().lines() {
        let line: String = line.chars().filter(|c| !is_refused(*c)).collect();
        for piece in wrapped(line.trim(), COLUMNS - indent) {
            let _ = writeln!(lines, "{:indent$}/// {piece}", "");
        }
    }
    lines
}

/// Characters that are not seen or change how others are shown, and others that WIT refuses.
fn is_refused(c: char) -> bool {
    is_hidden(c)
        || matches!(
            c,
            '\u{149}' | '\u{673}' | '\u{f77}' | '\u{f79}' | '\u{17a3}' | '\u{17a4}' | '\u{e0000}'
                ..='\u{e007f}'
        )
}

/// A line in pieces of at most this many characters, cut between words.
fn wrapped(line: &str, columns: usize) -> Vec<String> {
    let (mut pieces, mut piece) = (Vec::new(), String::new());
    for word in line.split_whitespace() {
        if !piece.is_empty() && piece.chars().count() + 1 + word.chars().count() > columns {
            pieces.push(std::mem::take(&mut piece));
        }
        if !piece.is_empty() {
            piece.push(' ');
        }
        piece.push_str(word);
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}
