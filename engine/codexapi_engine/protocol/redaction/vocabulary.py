"""The words of the wire: what they say of nobody, and stay in a recording.

A word is here because the API or HTTP defines it. Anything else is filled.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..known import EVENTS, HEADERS, ITEMS, MODEL, PARTS, PLAN, RESPONSE, USAGE, plain_model
from ..responses.texts import TEXTS


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


WORDS = _words(
    """
    true false True False none null auto default any all required allowed_tools disabled enabled
    low medium high xhigh max minimal ultra standard hd detailed concise original
    user assistant system developer tool response list model models
    in_progress completed failed incomplete queued cancelled generating searching interpreting
    commentary final_answer stop max_output_tokens content_filter length
    object string number integer boolean array
    function custom namespace web_search web_search_preview file_search image_generation
    code_interpreter computer_use_preview local_shell shell shell_command apply_patch mcp tool_search
    text json_schema json_object grammar lark regex
    input_text input_image input_file input_audio function_call_output custom_tool_call_output
    item_reference tool_search_call tool_search_output local_shell_call mcp_call additional_tools
    mcp_list_tools mcp_approval_request url_citation file_citation container_file_citation file_path
    computer_call_output shell_call shell_call_output apply_patch_call
    search open_page find_in_page generate edit exec
    png jpeg webp gif opaque transparent b64_json url wav mp3 pdf fast flex priority scale
    plus pro free go team business enterprise edu personal
    refresh_token authorization_code proactive_expiry scheduled unauthorized_recovery Bearer openid
    profile email offline_access
    hide tokens bytes freeform text_and_image code_mode_only unified_exec visibility v1 v2
    codex codexapi codex_cli_rs codex_exec cloudflare envoy uvicorn simulated identity gzip deflate
    br zstd chunked keep-alive close no-cache no-store challenge reasoning.encrypted_content
    application/json text/event-stream text/html text/plain multipart/form-data
    application/x-www-form-urlencoded utf-8 UTF-8 charset=utf-8 charset=UTF-8 */*
    NO_CONSTRAINT date-time date time email uri uuid ipv4 ipv6 hostname
    invalid_request_error server_error rate_limit_error authentication_error permission_error
    not_found_error insufficient_quota rate_limit_exceeded rate_limit_reached usage_limit_reached
    usage_not_included workspace_owner_usage_limit_reached context_length_exceeded model_not_found
    content_policy_violation cyber_policy moderation_blocked server_is_overloaded unsupported_value
    unsupported_parameter invalid_value missing_required_parameter invalid_type
    deactivated_workspace token_expired token_invalidated token_revoked refresh_token_expired
    refresh_token_invalidated refresh_token_reused invalid_grant invalid_client
    unsupported_grant_type invalid_encrypted_content previous_response_not_found slow_down
    image audio video file multi_agent_v2_in_code_mode literature_search_query
    send_user_message_async send_message_to_user_async request_user_input_async
    24h in_memory clock cyber chatgpt.com auth.openai.com
    """
) | {*EVENTS, *ITEMS, *PARTS}  # fmt: skip

PARTS_OF_WORDS = frozenset(
    re.split(
        r"[._\s]+",
        " ".join(WORDS)
        + " delta done added created content part output text arguments annotation summary item"
        " call input partial image audio transcript refusal error metadata usage limit limits rate"
        " compaction request event id index tool tools message messages param body field value type"
        " instructions store stream include parallel calls format schema strict role status effort",
    )
)
"""What composed words are made of: of an unknown event's name, these parts stay."""

TOOLS = frozenset({"apply_patch", "shell", "exec_command", "update_plan", "view_image"})
"""Names of the official client's own tools."""

MESSAGE_WORDS = _words(
    """
    a about above account active again all already also an and another any api are as at authorized
    authentication be because been before body but by can cannot channel check code codex content
    context could credits days decrypted denied does doesn't not error errors exceeded exceeds exist
    expected expires expired failed false field following for found free function generate have help
    has hours id if image in include included information input instead instructions internal into
    invalid is it item items its later length limit limits list log login longer match maximum may
    messages message method minute minutes missing model moderation more must name new newer no not
    null object occurred of on one only or organization output parameter parameters parallel parse
    payload permission persisted plan please policy processing quota rate reached reasoning refresh
    refused request requests required requires response retry revoked running safety seconds send
    server service session set sign size specified store stream string support supported system
    temporarily text than that the this time to token tokens too tool tools tpm true try type
    unauthorized unavailable unexpected unknown unsupported upgrade url usage use used user using
    valid value values verified version was we while will window with within without wrong your you
    encrypted call calls output_tokens max_output_tokens function_call function_call_output
    you've hit
    """
)
"""The words of error messages, which stay, since programs read them. Others are filled."""

SECRET_KEYS = _words(
    """
    id user safety_identifier prompt_cache_key session conversation encrypted_content
    encrypted_output signature access_token refresh_token id_token account etag jti sub sid nonce
    fingerprint system_fingerprint previous_response jwt secret api_key password authorization
    client_secret token ephemeral_key account_ordering comp_hash
    """
)
NAME_KEYS = frozenset({"name", "namespace", "server_label", "tool_name"})
MODEL_KEYS = frozenset({"model", "slug", "openai-model", "models"})
BINARY_KEYS = frozenset({"result", "b64_json", "partial_image_b64", "data", "file_data"})
MESSAGE_KEYS = frozenset({"message", "detail", "error_description"})
WORD_KEYS = frozenset({"type", "object", "code", "status", "param", "reason", "event"})
CONTENT_KEYS = _words(
    """
    delta output instructions content prompt description query queries q url
    title filename file_name image_url transcript revised_prompt base_instructions value
    obfuscation command working_directory cwd path display_name email output_text
    """
) | {form.field for form in TEXTS}
MEDIA = _words(
    """
    image/png image/jpeg image/webp image/gif application/pdf audio/wav audio/mpeg audio/mp3
    text/plain application/octet-stream
    """
)
SCHEMA_KEYS = frozenset({"parameters", "schema", "input_schema", "output_schema"})
MAP_KEYS = frozenset({"metadata", "client_metadata", "env", "variables"})
SCHEMA_KEYWORDS = _words(
    """
    type properties required items additionalProperties enum const default examples description
    title format pattern minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength
    maxLength minItems maxItems uniqueItems minProperties maxProperties anyOf oneOf allOf not if then
    else $ref $defs definitions $schema $id $comment patternProperties propertyNames prefixItems
    contains dependentRequired dependentSchemas nullable readOnly writeOnly deprecated strict
    contentEncoding contentMediaType unevaluatedProperties encrypted
    """
)
SCHEMA_MAPS = frozenset(
    {"properties", "$defs", "definitions", "patternProperties", "dependentSchemas", "dependentRequired"}
)  # fmt: skip
SCHEMA_VALUES = frozenset({"enum", "const", "default", "examples"})

PATHS = _words(
    """
    backend-api codex responses compact models wham usage transcribe alpha search images generations
    edits oauth token api accounts check v1 user-auth-credential whoami audio transcriptions memories
    trace_summarize
    """
)

HEADERS_SENT = _words(
    """
    accept accept-encoding authorization chatgpt-account-id content-length content-type cookie host
    originator session-id thread-id user-agent version x-client-request-id x-codex-beta-features
    x-codex-installation-id x-codex-parent-thread-id x-codex-routing-hint x-codex-turn-metadata
    x-codex-turn-state x-codex-window-id x-openai-fedramp x-openai-subagent openai-beta
    x-openai-internal-codex-responses-lite if-none-match connection retry-after location
    cf-mitigated allow x-codex-limit-name www-authenticate openai-organization openai-project
    """
) | HEADERS  # fmt: skip

_FIELDS = (
    SECRET_KEYS | NAME_KEYS | MODEL_KEYS | BINARY_KEYS | MESSAGE_KEYS | WORD_KEYS | CONTENT_KEYS
    | SCHEMA_KEYS | MAP_KEYS | SCHEMA_KEYWORDS | HEADERS | HEADERS_SENT | RESPONSE | USAGE | MODEL
    | PLAN | {name for table in (EVENTS, ITEMS, PARTS) for names in table.values() for name in names}
    | {"https://api.openai.com/auth", "https://api.openai.com/profile"}
)  # fmt: skip

_SEPARATOR = re.compile(r"([^A-Za-z0-9]+)")
_PARTS = frozenset(
    part
    for name in _FIELDS | WORDS | PATHS | _words(
        """
        action allowed annotations bytes cached chatgpt claim client commands connectors count created
        credits custom data days deep default details device domains duration end enabled engine
        external filters found fork grant has heading hits ids ignored indexing input installation is
        iss aud exp iat auth kind last level line lines links limits location logprobs max min mode
        month name next nbf num number of offset order origin page percent pinned plan position price
        primary provenance quality quota range ranking rank reached redirect region remaining
        replaced minutes over reset result results retry scope score search secondary section seconds sequence
        approvals collaboration modes confirmation policies template migration markdown permissions
        persistent budget shell size snippet source sources start state steps structure sub subject summary tag tags
        threshold tier time timezone titles tools total turn updated url urls usd user version view
        warning weight width height window words workspace year promo campaign
        """
    )
    for part in _SEPARATOR.split(name.lower())
)  # fmt: skip

DATES = frozenset({"date", "expires", "last-modified"})

_SECRET_HEADER = re.compile(
    r"authorization|cookie|token|secret|key|user|email|account|session|thread|organization|project"
    r"|installation|window-id|-id$|etag|ray|turn-state|metadata|routing|none-match|nel|report"
)
_COUNT = re.compile(r"[0-9]{1,12}")
_COUNTS = re.compile(r"(?:-at|-seconds|-minutes|-percent|-ms|-length|-time)$")

_SMALL = re.compile(r"[0-9]{0,2}|v[0-9]")
_NUMBER = re.compile(
    r"-?[0-9]{1,4}(?:\.[0-9]{1,9})?%?|[0-9]{1,3}(?:\.[0-9]{1,4}){2}|[0-9]{2,5}x[0-9]{2,5}"
)
_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d "
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT"
)


def is_word(value: str) -> bool:
    """Whether a value is of the wire, or a version, a size or a plain number."""
    return value in WORDS or _NUMBER.fullmatch(value) is not None


def is_date(value: str) -> bool:
    """Whether a value is a date as HTTP writes it."""
    return _DATE.fullmatch(value) is not None


def is_count(header: str, value: str) -> bool:
    """Whether a header, by its name, is a time or a size, and its value a number."""
    return bool(_COUNTS.search(header) and _COUNT.fullmatch(value))


def is_secret_header(name: str) -> bool:
    """Whether a header (in lower case) says who somebody is, or which request one was."""
    return _SECRET_HEADER.search(name) is not None


def is_model(value: str) -> bool:
    return len(value) <= 40 and plain_model(value) == value


def keep_parts(name: str, replace: Callable[[str], str]) -> str:
    """The name of a field or a header: known, or of known parts; the others are replaced."""
    if name.lower() in _FIELDS:
        return name
    parts = _SEPARATOR.split(name)
    return "".join(part if _is_part(part) else replace(part) for part in parts)


def is_field(name: str) -> bool:
    """Whether all of a name is the API's own."""
    return keep_parts(name, lambda part: "") == name


def _is_part(part: str) -> bool:
    return part.lower() in _PARTS or _SMALL.fullmatch(part) is not None


def is_secret(key: str) -> bool:
    """Whether a field or a header, by its name, says who somebody is, or which request one was."""
    return key in SECRET_KEYS or key.endswith(("_id", "_ids", "_token", "_key", "_secret"))
