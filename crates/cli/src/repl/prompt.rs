//! The prompt.

use std::borrow::Cow;

use reedline::{Color, Prompt, PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus};

/// `millstream> `, and `> ` on continuation lines.
pub struct ShellPrompt {
    pub colors: bool,
}

impl Prompt for ShellPrompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed("millstream")
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("         -> ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let state = match search.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "nothing found for ",
        };
        Cow::Owned(format!("({state}history: {}) ", search.term))
    }

    fn get_prompt_color(&self) -> Color {
        if self.colors { Color::Blue } else { Color::Default }
    }

    fn get_prompt_multiline_color(&self) -> Color {
        self.get_prompt_color()
    }

    fn get_indicator_color(&self) -> Color {
        self.get_prompt_color()
    }
}
