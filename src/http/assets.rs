//! Everything outside the API is the web app: static files, served by the platform.

use crate::problem::{Kind, Problem};
use streamchain_edge_core::request_id::RequestId;
use worker::{Env, Request, Response};

/// Passes a request on to the files. Reached only when the deployment has none, or lets the Worker go first.
pub(crate) async fn serve(request: Request, id: &RequestId, env: &Env) -> worker::Result<Response> {
    match env.assets("ASSETS") {
        Ok(assets) => {
            let path = request.path();
            let file = assets.fetch_request(request).await?;
            match file.status_code() {
                404 => Problem::new(Kind::NotFound, format!("no file has the path {path}")).into_response(id),
                _ => Ok(file),
            }
        }
        Err(_) => Problem::new(
            Kind::NotFound,
            "the web app is not deployed here; the API is at /v1",
        )
        .into_response(id),
    }
}
