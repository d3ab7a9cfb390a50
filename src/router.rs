//! From a request to its answer: the route, what is counted and recorded, the handler, and what every response has.

use crate::api::audit::{has_left_out, pass_on_left_out, record};
use crate::api::call::request_id;
use crate::api::limits;
use crate::audit::Attempt;
use crate::clock;
use crate::config::Config;
use crate::cors;
use crate::counters;
use crate::http;
use crate::path::PathParameters;
use crate::problem::{Kind, Problem};
use crate::rate_limit;
use crate::request::Call;
use crate::response::Answer;
use crate::routes::{Guard, HEALTH, Resource, Route, all_methods};
use streamchain_edge_core::rate_policy::Policy;
use streamchain_edge_core::request_id::RequestId;
use worker::{Context, Env, Request, Response};

/// The path that requests are counted under for which there is no resource.
const NO_RESOURCE: &str = "none";

/// Answers a request; never fails, whatever goes wrong behind it.
pub(crate) async fn serve(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    let (path, id) = (request.path(), request_id(request.headers()));
    if path != "/v1" && !path.starts_with("/v1/") {
        return http::assets::serve(request, &id, &env).await;
    }
    let is_head = request.inner().method() == "HEAD";
    let resource = Resource::find(&path);
    let counted = resource.as_ref().map_or(NO_RESOURCE, |resource| resource.path);
    let response = match dispatch(request, &id, &path, resource, env, &context).await {
        Ok(response) => response,
        Err(problem) => {
            problem.limit().map(counters::count_limit_hit);
            problem.shown().into_response(&id)?
        }
    };
    counters::count_request(counted, response.status_code());
    let response = cors::open_to_all(response, &id)?;
    if !is_head {
        return Ok(response);
    }
    let (status, headers) = (response.status_code(), response.headers().clone());
    Ok(Response::empty()?.with_status(status).with_headers(headers))
}

async fn dispatch(
    request: Request,
    id: &RequestId,
    path: &str,
    resource: Option<Resource>,
    env: Env,
    context: &Context,
) -> Answer {
    let method = request.inner().method();
    if method == "OPTIONS" {
        // Whatever the path says: were this refused, a page would see no more than that the request failed.
        let allow = resource.as_ref().map_or_else(all_methods, Resource::allow);
        return Ok(cors::preflight(&allow)?);
    }
    let no_resource = || Problem::new(Kind::NotFound, format!("no resource has the path {path}"));
    let resource = resource.ok_or_else(no_resource)?;
    let at = PathParameters::read(resource.path, path)?;
    let Some(route) = resource.route(&method) else {
        let allow = resource.allow();
        let detail = format!("the method is {method}: expected one of {allow}");
        return Err(Problem::new(Kind::MethodNotAllowed, detail).header("allow", allow));
    };
    if route.path == HEALTH {
        return http::health::answer();
    }
    let config = Config::of(&env);
    let config = config.map_err(|error| Problem::new(Kind::Misconfigured, error.to_string()))?;
    let attempt = Attempt::new(&request, &config, path, route.action);
    let call = Call::new(request, id.clone(), env.clone(), config.clone());
    let answer = answer(call, route, at).await;
    if let Some(entry) = attempt.entry(&config, &answer) {
        context.wait_until(record(env.clone(), id.clone(), config.clone(), entry));
    }
    if has_left_out(clock::now()) {
        context.wait_until(pass_on_left_out(env, id.clone(), config));
    }
    answer
}

async fn answer(call: Call, route: &Route, at: PathParameters) -> Answer {
    // Under another of the deployment's host names, a delivery could publish what is delivered next.
    if call.headers().has("webhook-signature")? {
        return Err(Problem::new(
            Kind::Forbidden,
            "the API takes no deliveries of webhooks",
        ));
    }
    if route.guard != Guard::Relay {
        let client = rate_limit::client(call.headers(), &call.config);
        rate_limit::front(&call.env, &call.config, &client).await?;
        if route.guard == Guard::Credentials {
            let policy = Policy::CredentialsAddress;
            limits::take(&call.env, &call.id, &call.config, policy, &client).await?;
        }
    }
    (route.handler)(call, at).await
}
