//! Ids in paths: malformed ones give 400, unknown ones 404, in Flink's words.

use millstream_session::JobId;

use crate::http::RestError;
use crate::jobs::JobView;
use crate::state::ServerState;

const NOT_FOUND: &str = "org.apache.flink.runtime.rest.NotFoundException";

/// The job of a path.
pub fn find_job(state: &ServerState, id: &str) -> Result<JobView, RestError> {
    let parsed = JobId::parse(id).ok_or_else(|| RestError::path_parameter("jobid", id))?;
    let view = state.job_view(parsed);
    view.ok_or_else(|| RestError::not_found(format!("{NOT_FOUND}: Job {parsed} not found")))
}

/// The position of the vertex of a path.
pub fn find_vertex(job: &JobView, id: &str) -> Result<usize, RestError> {
    let parsed = JobId::parse(id).ok_or_else(|| RestError::path_parameter("vertexid", id))?;
    job.vertex(&parsed.to_string())
        .ok_or_else(|| RestError::not_found(format!("{NOT_FOUND}: JobVertex {parsed} not found")))
}

/// The subtask of a path.
pub fn find_subtask(job: &JobView, vertex: usize, text: &str) -> Result<usize, RestError> {
    let subtask: usize = text
        .parse()
        .map_err(|_| RestError::path_parameter("subtaskindex", text))?;
    if subtask < job.vertices[vertex].info.parallelism {
        Ok(subtask)
    } else {
        Err(RestError::not_found(format!(
            "{NOT_FOUND}: Invalid subtask index {subtask}"
        )))
    }
}
