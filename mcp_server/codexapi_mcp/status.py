"""The tools that report the account's models, plan and usage.

No token is ever returned, and no e-mail address unless the call asks for it.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel

from codexapi_engine import Codex, CodexError
from codexapi_engine.errors import AuthError, duration
from codexapi_engine.protocol.limits import Limits, Window
from codexapi_engine.protocol.models import Model, resolve

from .runtime import Runtime, with_progress
from .schema import AccountResult, LimitWindow, ListedModel, ModelsResult, ProgramRequests


async def models(ctx: Context[Runtime, Any]) -> CallToolResult:
    """Raises CodexError."""
    codex = ctx.request_context.lifespan_context.codex

    async def run() -> ModelsResult:
        known, aliases = await codex.models(), codex.settings.model_aliases
        chosen, _ = resolve(known, aliases, await codex.model())
        return ModelsResult(models=[_model_entry(model, chosen) for model in known if model.listed])

    result = await with_progress(ctx, lambda seconds: f"asking, {seconds:.0f} s", run)
    lines = [
        f"{model.slug}{' (default)' if model.is_default else ''}: {model.description or 'no text'}; "
        f"efforts {', '.join(model.efforts) or 'none'}"
        for model in result.models
    ]
    return _to_result("\n".join(lines) or "The backend lists no model.", result)


async def account(ctx: Context[Runtime, Any], *, include_email: bool) -> CallToolResult:
    """Raises CodexError."""
    codex = ctx.request_context.lifespan_context.codex
    result = await with_progress(
        ctx, lambda seconds: f"asking, {seconds:.0f} s", lambda: _account(codex, include_email)
    )
    return _to_result("\n".join(_describe(result)), result)


async def _account(codex: Codex, include_email: bool) -> AccountResult:
    """Without a login there is an answer too: what the user has to run."""
    try:
        if (problem := await codex.login_problem()) is not None:
            raise problem
        login = await codex.credentials()
        plan_limits, unknown = await _limits(codex)
    except AuthError as error:
        return AccountResult(logged_in=False, note=f"{error.code}: {error}")
    email = login.email.reveal() if include_email and login.email else None
    if plan_limits is None:
        return AccountResult(logged_in=True, plan=login.plan, email=email, note=unknown)
    windows = [_window(window) for window in (plan_limits.primary, plan_limits.secondary) if window]
    return AccountResult(
        logged_in=True,
        plan=plan_limits.plan or login.plan,
        email=email,
        limit_reached=plan_limits.reached,
        limits=windows + _more(plan_limits),
        programs=_programs(codex),
        note="Answers are simulated (--demo)." if codex.settings.demo else None,
    )


async def _limits(codex: Codex) -> tuple[Limits | None, str]:
    """How much of the plan is used, or why that is not known. Raises AuthError."""
    try:
        return await codex.plan(), ""
    except AuthError:
        raise
    except CodexError as error:
        return None, f"How much of the plan is used is not known: {error.code}: {error}"


def _programs(codex: Codex) -> list[ProgramRequests]:
    return [
        ProgramRequests(
            program=one.program or "unknown",
            requests=one.requests,
            running=one.running,
            input_tokens=one.input,
            output_tokens=one.output,
        )
        for one in codex.observer.programs()
    ]


def _more(limits: Limits) -> list[LimitWindow]:
    """Limits of their own, that single models have."""
    return [
        _window(window, name)
        for name, more in limits.additional
        for window in (more.primary, more.secondary)
        if window
    ]


def _window(window: Window, name: str = "") -> LimitWindow:
    length = duration(round((window.minutes or 0) / 60) * 3600) if window.minutes else "unknown"
    at = window.resets_at
    left = at - time.time() if at else window.resets_in
    return LimitWindow(
        window=f"{_short(length)} {name}".strip(),
        used_percent=window.used_percent,
        resets_at=datetime.fromtimestamp(at).astimezone().isoformat("T", "minutes") if at else None,
        resets_in=duration(left) if left is not None else None,
    )


def _short(length: str) -> str:
    """`5 h 0 min` is 5 h, and `7 d 0 h` is 7 d."""
    return length.removesuffix(" 0 min").removesuffix(" 0 h")


def _describe(result: AccountResult) -> list[str]:
    if not result.logged_in:
        return [f"Not logged in. {result.note}"]
    lines = [f"Logged in, plan {result.plan or 'unknown'}."]
    if result.email:
        lines.append(f"Account: {result.email}")
    for limit in result.limits:
        when = f", resets {limit.resets_at} (in {limit.resets_in})" if limit.resets_at else ""
        lines.append(f"{limit.window} window: {limit.used_percent:.0f} % used{when}")
    if result.limit_reached:
        lines.append("The limit is reached.")
    lines += [
        f"{one.program}: {one.requests} requests ({one.running} running), "
        f"{one.input_tokens}+{one.output_tokens} tokens"
        for one in result.programs
    ]
    return [*lines, *([result.note] if result.note else [])]


def _model_entry(model: Model, chosen: str) -> ListedModel:
    return ListedModel(
        slug=model.slug,
        display_name=model.display_name,
        description=model.description,
        efforts=list(model.efforts),
        default_effort=model.default_effort,
        takes_images="image" in model.modalities,
        context_window=model.context_window,
        is_default=model.slug == chosen,
    )


def _to_result(text: str, result: BaseModel) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(text=text)], structured_content=result.model_dump(mode="json")
    )
