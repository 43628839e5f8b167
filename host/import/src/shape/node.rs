//! What is made of a schema: functions, and the types of their arguments and results.
//!
//! Must not know schemas, nor how a type is written.

use serde_json::{Map, Value};

/// A function of the world.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) label: String,
    pub(crate) published: String,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) effects: Option<&'static str>,
    pub(crate) request: Option<RequestLine>,
    pub(crate) params: Vec<Field>,
    /// Whether unknown arguments are dropped.
    pub(crate) is_open: bool,
    /// Keywords over all arguments.
    pub(crate) schema: Map<String, Value>,
    /// Relations over the arguments.
    pub(crate) requires: Vec<String>,
    /// None for a tool of which only is known that it answers with text.
    pub(crate) result: Option<Node>,
}

/// Method and path of a request.
pub(crate) type RequestLine = (String, String);

/// A parameter, or a field of a record.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// The key as it was published.
    pub(crate) key: String,
    pub(crate) label: String,
    pub(crate) node: Node,
    pub(crate) is_required: bool,
    pub(crate) default: Option<Value>,
}

/// A type, and what the contract says of its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) shape: Shape,
    pub(crate) keywords: Map<String, Value>,
    pub(crate) description: Option<String>,
    /// The name that the document gives the type.
    pub(crate) name: Option<String>,
    /// Whether null stands for a value.
    pub(crate) is_nullable: bool,
}

impl Node {
    /// Whether it says more than its type does: a contract has places below a result, and none for the result as a whole.
    pub(super) fn says_more_than_a_type(&self) -> bool {
        let is_renamed = |(label, value): &(String, String)| label != value;
        match &self.shape {
            Shape::Record { .. } => false,
            Shape::Free(_) => true,
            Shape::Enum(cases) => cases.iter().any(is_renamed),
            Shape::List(_) | Shape::Bool | Shape::Int(_) | Shape::Float | Shape::Text => {
                self.keywords.keys().any(|keyword| keyword != "description" && keyword != "title")
            }
        }
    }
}

/// The kinds of types that a schema becomes.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Bool,
    /// The name of an integer type.
    Int(&'static str),
    Float,
    Text,
    /// The published values with their labels.
    Enum(Vec<(String, String)>),
    Record {
        fields: Vec<Field>,
        is_open: bool,
    },
    List(Box<Node>),
    /// JSON of this schema; of none where anything is accepted.
    Free(Option<Value>),
}
