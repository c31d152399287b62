//! Completion in the line editor. [`millstream_session::completion`] provides the candidates.

use std::sync::{Arc, Mutex, PoisonError};

use millstream_session::completion::{Vocabulary, candidates};
use reedline::{Completer, CompletionResult, Span, Suggestion};

/// Completion for the line editor. The vocabulary is refreshed before each prompt.
pub struct ShellCompleter {
    pub vocabulary: Arc<Mutex<Vocabulary>>,
}

impl Completer for ShellCompleter {
    fn complete(&mut self, line: &str, cursor: usize) -> CompletionResult {
        let vocabulary = self.vocabulary.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, candidates) = candidates(&vocabulary, line, cursor);
        let suggestions: Vec<Suggestion> = candidates
            .into_iter()
            .map(|candidate| Suggestion {
                value: candidate.text,
                description: Some(candidate.about).filter(|about| !about.is_empty()),
                span: Span::new(start, cursor.max(start)),
                ..Suggestion::default()
            })
            .collect();
        CompletionResult::fresh(suggestions)
    }
}
