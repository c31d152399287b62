//! The client side of a SQL Gateway session.

use anyhow::Context;
use millstream_server::http::gateway::logical_type_from_json;
use millstream_types::{LogicalType, Options, RowKind};
use serde_json::{Value, json};

use super::client::HttpClient;

/// A session, closed on drop.
pub struct RemoteSession {
    client: HttpClient,
    path: String,
}

/// The rows of a page: kinds and texts.
pub type RemotePage = Vec<(RowKind, Vec<Option<String>>)>;

/// The result of a statement, read page by page.
pub struct RemoteResult<'a> {
    session: &'a RemoteSession,
    operation: String,
    next: Option<String>,
    first: Option<RemotePage>,
    pub columns: Vec<(String, LogicalType)>,
    pub is_query: bool,
    /// Whether the result holds more than a confirmation.
    pub has_content: bool,
    pub job: Option<String>,
}

impl RemoteSession {
    pub fn open(client: HttpClient, name: &str, properties: &Options) -> anyhow::Result<Self> {
        let opened = client.post(
            "/v4/sessions",
            &json!({"sessionName": name, "properties": properties}),
        )?;
        let handle = opened.get("sessionHandle").and_then(Value::as_str);
        let path = format!("/v4/sessions/{}", handle.context("the server gives no session")?);
        Ok(Self { client, path })
    }

    /// Executes a statement and waits for its result; a failed statement is an error.
    pub fn execute(&self, statement: &str) -> anyhow::Result<RemoteResult<'_>> {
        let submitted = self.client.post(
            &format!("{}/statements", self.path),
            &json!({"statement": statement}),
        )?;
        let handle = submitted.get("operationHandle").and_then(Value::as_str);
        let operation = format!(
            "{}/operations/{}",
            self.path,
            handle.context("the server gives no operation")?
        );
        let mut result = RemoteResult {
            session: self,
            next: Some(format!("{operation}/result/0?rowFormat=PLAIN_TEXT")),
            operation,
            first: None,
            columns: Vec::new(),
            is_query: false,
            has_content: false,
            job: None,
        };
        while result.columns.is_empty() {
            result.first = result.fetch()?;
        }
        Ok(result)
    }
}

impl Drop for RemoteSession {
    fn drop(&mut self) {
        // The server closes abandoned sessions itself.
        let _ = self.client.request("DELETE", &self.path, None);
    }
}

impl RemoteResult<'_> {
    /// The next rows; an empty page if none arrived in time, `None` at the end.
    pub fn next(&mut self) -> anyhow::Result<Option<RemotePage>> {
        match self.first.take() {
            Some(page) => Ok(Some(page)),
            None => self.fetch(),
        }
    }

    fn fetch(&mut self) -> anyhow::Result<Option<RemotePage>> {
        let Some(path) = self.next.take() else {
            return Ok(None);
        };
        let page = self.session.client.get(&path)?;
        self.next = page
            .get("nextResultUri")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let Some(results) = page.get("results") else {
            return Ok(Some(Vec::new()));
        };
        if self.columns.is_empty() {
            self.columns = results
                .get("columns")
                .and_then(Value::as_array)
                .map(|columns| columns.iter().map(column).collect())
                .unwrap_or_default();
            self.is_query = page
                .get("isQueryResult")
                .and_then(Value::as_bool)
                .unwrap_or(false);
            self.has_content = page.get("resultKind").and_then(Value::as_str) == Some("SUCCESS_WITH_CONTENT");
            self.job = page.get("jobID").and_then(Value::as_str).map(str::to_owned);
        }
        let rows = results.get("data").and_then(Value::as_array);
        let rows: RemotePage = rows
            .map(|rows| rows.iter().map(row).collect())
            .unwrap_or_default();
        if rows.is_empty() && self.next.is_none() {
            return Ok(None);
        }
        Ok(Some(rows))
    }
}

impl Drop for RemoteResult<'_> {
    fn drop(&mut self) {
        // Cancels the query; if the server is gone, so is the query.
        let _ = self
            .session
            .client
            .request("DELETE", &format!("{}/close", self.operation), None);
    }
}

fn column(column: &Value) -> (String, LogicalType) {
    let name = column.get("name").and_then(Value::as_str).unwrap_or_default();
    let ty = column.get("logicalType").and_then(logical_type_from_json);
    (name.to_owned(), ty.unwrap_or(LogicalType::STRING))
}

fn row(row: &Value) -> (RowKind, Vec<Option<String>>) {
    let kind = match row.get("kind").and_then(Value::as_str) {
        Some("UPDATE_BEFORE") => RowKind::UpdateBefore,
        Some("UPDATE_AFTER") => RowKind::UpdateAfter,
        Some("DELETE") => RowKind::Delete,
        _ => RowKind::Insert,
    };
    let fields = row.get("fields").and_then(Value::as_array);
    let text = |field: &Value| match field {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    (
        kind,
        fields
            .map(|fields| fields.iter().map(text).collect())
            .unwrap_or_default(),
    )
}
