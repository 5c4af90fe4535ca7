"""A client of OpenAI-like servers that keeps its own count of what it sent and got."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.processes import Answer, ask

PROMPTS = tuple(f"the cost of the {word} in the region" for word in ("token", "request", "epoch"))


@dataclass
class Client:
    """Asks one server; `input` is what was computed of the prompts, without what was cached."""

    port: int
    model: str
    bearer: str = ""
    answered: int = 0
    refused: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    by_user: dict[str, int] = field(default_factory=dict)

    def chat(self, prompt: str, max_tokens: int = 8, *, model: str = "", user: str = "") -> Answer:
        """One chat completion."""
        messages = [{"role": "user", "content": prompt}]
        content = {"messages": messages, "max_tokens": max_tokens, "model": model or self.model}
        if user:
            content["user"] = user
        answer = ask(self.port, "/v1/chat/completions", content, bearer=self.bearer)
        self._count(answer, user)
        return answer

    def chats(self, count: int, *, user: str = "") -> None:
        """So many that succeed, some of them with a prompt that was sent before."""
        for number in range(count):
            prompt = f"{PROMPTS[number % len(PROMPTS)]} {number // 6}"
            answer = self.chat(prompt, 1 + number % 9, user=user)
            assert answer.status == 200, answer

    def complete(self, prompt: str, max_tokens: int = 8) -> Answer:
        """One text completion."""
        content = {"prompt": prompt, "max_tokens": max_tokens, "model": self.model}
        answer = ask(self.port, "/v1/completions", content, bearer=self.bearer)
        self._count(answer, "")
        return answer

    def _count(self, answer: Answer, user: str) -> None:
        if answer.status != 200:
            self.refused += 1
            return
        usage: Mapping[str, Any] = answer.content["usage"]
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        self.answered += 1
        self.by_user[user] = self.by_user.get(user, 0) + 1
        self.input += usage["prompt_tokens"] - cached
        self.cached += cached
        self.output += usage["completion_tokens"]
