//! Hands a pay recommendation in at an approvals service, and can ask whether one has arrived.

use airlock_sdk::{config, http};

airlock_sdk::tool!(SubmitRecommendation);

const PATH: &str = "/v1/recommendations";

struct SubmitRecommendation;

impl Guest for SubmitRecommendation {
    fn submit_recommendation(
        reference: String,
        role: String,
        amount: u32,
        currency: String,
        reason: String,
    ) -> Result<Receipt, Failure> {
        let url = config::get("base-url")? + PATH;
        let amount = amount.to_string();
        let form = [
            ("reference", reference.as_str()),
            ("role", &role),
            ("amount", &amount),
            ("currency", &currency),
            ("reason", &reason),
        ];
        let id = http::post_form(&url, &form)?.text()?;
        Ok(Receipt { reference, id: id.trim().to_owned() })
    }

    fn was_submitted(reference: String) -> Result<Arrival, Failure> {
        let url = config::get("base-url")? + PATH;
        let response = http::get(&http::with_query(&url, &[("reference", &reference)]))?;
        if response.status == 404 {
            return Ok(Arrival::NotApplied);
        }
        response.text().map(|_| Arrival::Applied)
    }
}
