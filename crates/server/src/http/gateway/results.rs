//! Results, page by page.

use axum::extract::{Path, Query, State};
use millstream_types::{RowKind, Schema};
use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::{failed_fetch, failed_statement};
use super::operations::find;
use super::types::logical_type_json;
use super::{Gateway, Version};
use crate::http::RestError;
use crate::http::reply::{Reply, reply};
use crate::limits::{RESULT_LONG_POLL, STATEMENT_LONG_POLL};
use crate::sessions::{Fetched, Page, Results};

#[derive(Clone, Copy, PartialEq, Eq)]
enum RowFormat {
    Json,
    PlainText,
}

impl RowFormat {
    const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::PlainText => "PLAIN_TEXT",
        }
    }
}

#[derive(Deserialize)]
pub struct FetchQuery {
    #[serde(rename = "rowFormat")]
    row_format: Option<String>,
}

pub async fn fetch(
    State(gateway): State<Gateway>,
    Path((session, operation, token)): Path<(String, String, String)>,
    Query(query): Query<FetchQuery>,
) -> Result<Reply, RestError> {
    let format = row_format(gateway.version, query.row_format.as_deref())?;
    let number: i64 = token
        .parse()
        .map_err(|_| RestError::path_parameter("token", &token))?;
    let found = find(&gateway, &session, &operation)?.map_err(|error| failed_fetch(&error))?;
    // Most statements are executed within a moment; answering NOT_READY would cost the client a pause.
    found.settled(STATEMENT_LONG_POLL).await;
    let results = found
        .results()
        .map_err(|error| failed_statement(found.handle(), &error))?;
    let uri = |token: u64| {
        let suffix = match gateway.version {
            Version::V1 => String::new(),
            _ => format!("?rowFormat={}", format.name()),
        };
        format!(
            "{}/sessions/{session}/operations/{operation}/result/{token}{suffix}",
            gateway.version.prefix()
        )
    };
    let Some(results) = results else {
        let token = u64::try_from(number).unwrap_or(0);
        return Ok(reply(
            &json!({"resultType": "NOT_READY", "nextResultUri": uri(token)}),
        ));
    };
    let fetched = results
        .fetch(number, RESULT_LONG_POLL)
        .await
        .map_err(|error| failed_fetch(&error))?;
    Ok(match fetched {
        Fetched::End => reply(&payload("EOS", &results, format, Vec::new(), None)),
        Fetched::Page { page, next_token } => {
            let rows = rows(&page, format);
            reply(&payload("PAYLOAD", &results, format, rows, Some(uri(next_token))))
        }
    })
}

fn row_format(version: Version, given: Option<&str>) -> Result<RowFormat, RestError> {
    match given {
        _ if version == Version::V1 => Ok(RowFormat::Json),
        None | Some("JSON") => Ok(RowFormat::Json),
        Some("PLAIN_TEXT") => Ok(RowFormat::PlainText),
        Some(other) => Err(RestError::bad_request(format!(
            "Bad request, could not parse parameters: Cannot resolve query parameter (rowFormat) from value \"{other}\"."
        ))),
    }
}

fn payload(
    kind: &str,
    results: &Results,
    format: RowFormat,
    rows: Vec<Value>,
    next: Option<String>,
) -> Value {
    let mut body = json!({"resultType": kind, "isQueryResult": results.is_query});
    if let Some(job) = &results.job_id {
        body["jobID"] = json!(job);
    }
    body["resultKind"] = json!(results.kind.name());
    body["results"] = json!({"columns": columns(&results.schema), "rowFormat": format.name(), "data": rows});
    if let Some(next) = next {
        body["nextResultUri"] = json!(next);
    }
    body
}

fn columns(schema: &Schema) -> Vec<Value> {
    let types = schema.types();
    let column = |(column, ty): (&millstream_types::Column, _)| json!({"name": column.name, "logicalType": logical_type_json(ty), "comment": null});
    schema.columns.iter().zip(types).map(column).collect()
}

fn rows(page: &Page, format: RowFormat) -> Vec<Value> {
    let mut found = Vec::new();
    match page {
        Page::Texts(rows) => found.extend(rows.iter().map(|row| json!({"kind": "INSERT", "fields": row}))),
        Page::Rows(parts) => {
            for part in parts.iter() {
                let texts = (format == RowFormat::PlainText).then(|| part.texts());
                for row in 0..part.len() {
                    let fields = match &texts {
                        Some(texts) => json!(texts.values(row)),
                        None => Value::Array(part.json(row)),
                    };
                    found.push(json!({"kind": kind_name(part.kind(row)), "fields": fields}));
                }
            }
        }
    }
    found
}

const fn kind_name(kind: RowKind) -> &'static str {
    match kind {
        RowKind::Insert => "INSERT",
        RowKind::UpdateBefore => "UPDATE_BEFORE",
        RowKind::UpdateAfter => "UPDATE_AFTER",
        RowKind::Delete => "DELETE",
    }
}
