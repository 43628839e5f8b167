//! The snippets of `docs/clients.md`: what the page shows is what runs.

/// The code blocks of a language in the section whose heading begins with `heading`, in order.
pub(super) fn blocks(page: &str, heading: &str, language: &str) -> Vec<String> {
    let section = page.split("\n## ").find(|section| section.starts_with(heading)).unwrap_or_default();
    let mut blocks = Vec::new();
    // Every second part is inside a fence, and begins with its language.
    for block in section.split("```").skip(1).step_by(2) {
        let (named, code) = block.split_once('\n').unwrap_or_default();
        if named == language {
            blocks.push(code.to_owned());
        }
    }
    blocks
}

/// A snippet with the program, the registry, the server and the token of a run.
pub(super) fn filled(snippet: &str, [program, registry, server, token]: [&str; 4]) -> String {
    // The registry first: its name begins with the program's.
    let snippet = snippet.replace("/path/airlock.toml", registry).replace("/path/airlock", program);
    snippet.replace("http://127.0.0.1:8787", server).replace("TOKEN", token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../docs/clients.md");

    fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        PAGE.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'))
    }

    #[test]
    fn every_snippet_over_http_has_a_token() {
        let requests: Vec<_> = all().filter(|(_, code)| code.contains("http://127.0.0.1:8787")).collect();
        assert!(requests.len() > 5);
        for (_, code) in requests {
            assert_eq!(
                code.matches("http://127.0.0.1:8787").count(),
                code.matches("Bearer TOKEN").count(),
                "{code}"
            );
        }
    }

    #[test]
    fn json_snippets_are_json() {
        for (_, code) in all().filter(|(language, _)| *language == "json") {
            serde_json::from_str::<serde_json::Value>(code).unwrap_or_else(|err| panic!("{err}: {code}"));
        }
    }

    #[test]
    fn every_framework_has_a_snippet_for_each_transport() {
        for heading in ["LangGraph", "OpenAI Agents SDK", "pydantic-ai"] {
            let [stdio, http] = &blocks(PAGE, heading, "python")[..] else { panic!("{heading}") };
            assert!(stdio.contains("/path/airlock.toml") && http.contains("Bearer TOKEN"), "{heading}");
            assert!(stdio.contains("# agent: ") && http.contains("# agent: "), "{heading}");
        }
    }
}
