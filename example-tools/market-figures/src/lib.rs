//! Fetches a figure of the labor market from a web API that answers with CSV. The host adds the key of the API, which this
//! tool never sees.

use airlock_sdk::{Refusal, config, http};

airlock_sdk::tool!(MarketFigures);

struct MarketFigures;

impl Guest for MarketFigures {
    fn market_figures(series: String, month: Option<String>) -> Result<Figure, Failure> {
        let base = config::get("base-url")?;
        let month = month.as_deref().unwrap_or("latest");
        let query = [("series", series.as_str()), ("month", month)];
        let response = http::get(&http::with_query(&format!("{base}/v1/figures"), &query))?;
        if response.status == 404 {
            return Err(unknown(&series, month).into());
        }
        let text = response.text()?;
        // Not a retry: the next answer would have the same form.
        figure(&text).ok_or_else(|| Failure::Permanent("the service answered in another form".to_owned()))
    }
}

fn unknown(series: &str, month: &str) -> Refusal {
    Refusal::new("no-such-figure", format!("The service has no figure of `{series}` for {month}."))
        .need("a `series` and a `month` that the service has")
        .retry_after_change("series or month")
}

/// Reads `series,month,thousands_of_jobs,as_of` below a head line of these names.
fn figure(text: &str) -> Option<Figure> {
    let mut lines = text.lines();
    let row =
        lines.next().filter(|head| *head == "series,month,thousands_of_jobs,as_of").and(lines.next())?;
    let mut fields = row.split(',');
    let (series, month) = (fields.next()?.to_owned(), fields.next()?.to_owned());
    let thousands_of_jobs = fields.next()?.parse().ok()?;
    let as_of = AsOf::new(fields.next()?).source("the figures service");
    fields.next().is_none().then_some(Figure { series, month, thousands_of_jobs, as_of })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_another_form_is_none() {
        let head = "series,month,thousands_of_jobs,as_of";
        let read = figure(&format!("{head}\nnonfarm,2015-12,143093,2015-12-31\n")).unwrap();
        assert_eq!((read.month.as_str(), read.thousands_of_jobs), ("2015-12", 143_093.0));
        for text in
            ["", head, "series\nnonfarm", "<html>", &format!("{head}\nnonfarm,2015-12,many,2015-12-31")]
        {
            assert!(figure(text).is_none(), "{text}");
        }
    }
}
