//! Methods of the protocol that rmcp reads and this server does not have.
//!
//! Owns their answer: that of rmcp is the bare name of the method.

/// Handlers that answer as for a method that is not there.
macro_rules! not_served {
    ($($(#[$attribute:meta])* $handler:ident($params:ty) -> $result:ty, $method:literal;)*) => {$(
        $(#[$attribute])*
        async fn $handler(
            &self,
            _: $params,
            _: rmcp::service::RequestContext<rmcp::service::RoleServer>,
        ) -> Result<$result, rmcp::ErrorData> {
            Err($crate::mcp::params::no_such_method($method))
        }
    )*};
}

pub(super) use not_served;
