"""Sizes, times and margins that two modules know, or that a user may ask about.

Bytes and seconds, where nothing else is said. Imports nothing, so that every start can afford it. A
number that only one algorithm knows stays beside it.
"""

from __future__ import annotations

MIB = 1024 * 1024

# Requests, over HTTP and to the MCP server.

MAX_BODY_BYTES = 32 * MIB
MAX_FORM_BYTES = 64 * MIB
"""A form carries pictures as they are, without base64."""

MAX_BACKEND_BODY_BYTES = 2 * MAX_FORM_BYTES
"""Of a request to the simulated backend, or a recorded one: it has the pictures of a form in base64."""

MAX_REQUEST_HEAD_BYTES = 32 * 1024
MAX_PIPELINED = 100
"""Requests that may wait on one connection while another is answered."""

MAX_JSON_DEPTH = 100
MAX_JSON_VALUES = 100_000
"""In one body. One of 32 MiB has room for a hundred times as many, which take a minute to
look at, and a gigabyte; the longest conversation has some ten thousand."""

MAX_JSON_TOKENS = 1_000_000
"""Of an MCP message that is no JSON, which are searched for an id."""

MAX_INTEGER = 2**64

MAX_CODINGS = 3
"""Content codings of one body, one inside the other."""

MAX_MEMBERS = 2 * MAX_FORM_BYTES // (64 * 1024)
"""Of one body, empty ones too: each costs a new decoder. Block gzip has one for each 64 KiB."""

MAX_WINDOW_LOG = 23
"""8 MiB: what a decoder of zstd has to have room for, and may refuse to exceed (RFC 9659)."""

HEAD_TIMEOUT = 10.0
"""For a whole head, from its first byte on."""

BODY_TIMEOUT = 30.0
"""Between two pieces of a body."""

MAX_KEY_FILE_BYTES = 4096

MAX_UNKNOWN_NAMES = 50
"""Of one kind that are counted by name. More are counted together."""

# WebSocket connections. The first three are OpenAI's.

MAX_SOCKET_RUNS = 16
"""Responses that one connection makes at a time. More wait."""

MAX_LANES = 32
"""Names of lanes that one connection may use in its life."""

SOCKET_LIFETIME = 3600.0

MAX_WAITING_CREATES = 32
"""Of one connection. Beyond this, or beyond MAX_BODY_BYTES of them, no more is read."""

MAX_CHAIN_BYTES = 2 * MAX_BODY_BYTES
"""Of the responses that one connection remembers."""

MAX_PONG_BYTES = 64 * 1024
"""That wait for a client that reads nothing: beyond this nothing of it is read either."""

SILENCE_TIMEOUT = 600.0
"""After this a client that has answered no ping is gone: its machine may be off."""

# Answers.

KEEP_ALIVE_INTERVAL = 10.0
"""Seconds of silence before a client is sent a keep-alive comment."""

MAX_RETRY_AFTER = 60.0
"""Some programs sleep in silence for as long as a Retry-After says, hours too: beyond this the
message, the body and the `x-codex-*` headers alone say when it resets."""

DRAIN_TIMEOUT = 5.0
"""What open streams get when the server stops."""

STOP_TIMEOUT = 2 * DRAIN_TIMEOUT
"""What `codexapi stop` gives a server before a second signal cuts its streams."""

# The backend.

CONNECT_TIMEOUT = 10.0
IDLE_TIMEOUT = 300.0
"""Silence of a stream. Codex itself waits as long."""

IMAGE_IDLE_TIMEOUT = 600.0
"""Silence over a picture: one or two minutes are usual."""

PROBE_IDLE_TIMEOUT = 60.0
"""Silence over the one small request of `codexapi doctor --online`."""

MAX_EVENT_BYTES = 64 * MIB
"""An image of 20 MB arrives as one event of 27 MB; this leaves room for twice that."""

MAX_RESPONSE_HEAD_BYTES = 64 * 1024
"""Of a head, of trailers, and of whatever else stands between two pieces of a body. What came in one
network read with the next piece is not counted."""

MAX_QUEUE_WAIT = 30.0
"""In line for `--max-streams`, after which a client is better told to come again."""

RETRY_WITHIN = 12.0
"""After this a request is not tried again."""

MAX_RETRY_WAIT = 2.0
"""Of Retry-After that we wait ourselves; a longer one is the client's to wait."""

MAX_IDLE_CONNECTIONS = 20
"""Connections that wait for another request, for each host."""

CONNECTION_LIFETIME = 60.0
"""How long they wait, by the wall clock: a machine that slept has lost them."""

MODELS_MAX_AGE = 300.0
"""How long the list of models is kept: as long as the Codex client keeps it."""

MODELS_TIMEOUT = 5.0
"""How long a request waits for that list at most: as long as the Codex client waits."""

MODELS_RETRY_AFTER = 60.0
"""After a failure, no request waits for that list in this time."""

# The login.

REFRESH_MARGIN = 60.0
"""Before expiry, when we refresh. Codex itself goes first, at 300; so do not go beyond that."""

MAX_CLOCK_SKEW = REFRESH_MARGIN
"""What a clock may be wrong by before a token's end is misjudged."""

MAX_LOGIN_AGE = 8 * 86400.0
"""After this an access token that tells no expiry is renewed."""

TOKEN_TIMEOUT = 10.0
"""What the token endpoint gets in all."""

LOGIN_LOCK_WAIT = TOKEN_TIMEOUT + 5.0
"""How long `auth.lock` is waited for: a refresh goes on under it."""

KEYRING_TIMEOUT = 30.0
"""For a keyring to answer: it may ask its owner first."""

MAX_LOGIN_BYTES = 1_000_000

# What one request may hold.

MAX_CHOICES = 8
"""Choices of one request, all prompts together: each is a call on the user's plan."""

MAX_STOPS = 4
MAX_STOP_SEQUENCES = 32
"""Stop sequences of the APIs that have no limit, Anthropic's and Ollama's: programs that complete code
send a dozen. Each delta is searched for each."""

MAX_TOOLS = 128
MAX_TOOL_NAME = 128
"""The backend took 64 characters before, and takes so many now."""

MAX_ID = 64
MAX_CACHE_KEY = 64
MAX_METADATA_PAIRS, MAX_METADATA_KEY, MAX_METADATA_VALUE = 16, 64, 512

MAX_FILE_BYTES = 50 * MIB
"""Of one file, and of all stored files that one request refers to. The backend takes no more."""

# Pictures.

MAX_IMAGES = 10
"""Of one request."""

MAX_CALL_IMAGES = 4
"""Of one MCP call: a client waits no longer."""

IMAGES_AT_ONCE = 2
"""Pictures of one request that are drawn at the same time."""

MAX_INPUTS = 16
"""Pictures that are edited at once, or files of one MCP call."""

MAX_IMAGE_PROMPT = 32_000
"""Characters, as the backend takes them."""

MIN_EDGE, MAX_EDGE = 16, 3840
MAX_PIXELS = 64 * MIB
"""Pixels of an input: four times the largest that the backend makes. More is a bomb."""

FETCH_TIMEOUT = 30.0
"""For a picture with an address: the names, the redirects and the bytes together."""

MAX_REDIRECTS = 3
IMAGE_LIFETIME = 3600.0
"""Of a picture that has an address: the official API keeps its own as long."""

MAX_CHAT_IMAGE_BYTES = MIB
"""A picture in a conversation goes along with each later question."""

MAX_PREVIEW_BYTES = 200 * 1024
MAX_INLINE = 700_000
"""Characters of base64 in one MCP result: clients refuse results of a megabyte, texts and all."""

# Audio.

MAX_AUDIO_BYTES = 25 * MIB
"""Of one audio file, as the official API has it."""

MAX_TRANSCRIPT_SECONDS = 80.0
"""What the backend is known to transcribe of one audio file: of a longer one, the rest is left out."""

PIECE_SECONDS = 60.0
"""Of one piece, where a long audio file is cut at its silences."""

TRANSCRIPTION_TIMEOUT = 120.0
"""Silence over an audio file: some seconds are usual."""

# What is stored.

MAX_STORED_OBJECTS = 1_000
MAX_STORED_BYTES = 256 * MIB
MAX_REASONING_BYTES = 32 * MIB
MAX_LOG_BYTES = 8 * MIB
"""A run of 128,000 tokens in deltas of a token is larger, and one of 20,000 is not."""

MAX_JOB_BYTES = 64 * MIB
"""Of events that are held for followers: more than the longest answer of any model."""

MAX_PAGE, DEFAULT_PAGE = 100, 20
"""Objects of a list, and of one that does not say how many."""

MAX_STORED_FILES = 1_000
MAX_STORED_FILE_BYTES = 512 * MIB
"""Of the files of `/v1/files`, all accounts together. One more is refused: a client counts on those
that it has stored."""

MAX_FILE_NAME = 255
"""Characters, as file systems have them."""

MAX_FILE_PAGE = 10_000
"""Files of a list, and of one that does not say how many: as the official API has it."""

MIN_FILE_LIFETIME, MAX_FILE_LIFETIME = 3600, 30 * 86400
"""What `expires_after` may say, in whole seconds."""

MAX_DOCUMENT_LIFETIME = 90 * 86400
MAX_DOCUMENT_PAGE = 1_000
"""Likewise in Anthropic's form of the same files."""

MAX_ITEMS = 20
"""Items that may be added to a conversation at once."""

STATE_LOCK_WAIT = 5.0
"""How long a change waits for another process's transaction."""

HEARTBEAT_INTERVAL = 10.0
"""After this a server that runs responses in the background says so again."""

HEARTBEAT_TIMEOUT = 60.0
"""After this a server that has not said so is gone, and its runs with it."""

# MCP.

MAX_SESSIONS = 256
"""Of the older era. Beyond it the one that was used the longest time ago ends, if no request of it
is open: clients that crash or restart leave theirs behind, and each takes 45 kB."""

SESSION_IDLE_TIMEOUT = 1800.0
"""Without a request a session ends; its client is told to begin another."""

PROGRESS_INTERVAL = 10.0
"""Between two signs of life: clients with a watchdog wait 60 and more."""

CALL_WAIT = 50.0
"""After this a client may have gone without a word: the most impatient one known waits 60. What was
quicker has arrived."""

RESULT_LIFETIME = 600.0
"""How long a result waits for the next call."""

MCP_LINGER = 180.0
"""How long a picture is waited for when the client has left: it takes one or two minutes."""

UNCLAIMED_LIFETIME = 30 * 86400.0
"""After this nobody is told of a picture that no call has had."""

MAX_RECENT_REQUESTS = 200
"""Requests that have ended and that a server still shows; each takes a kilobyte."""

MAX_PROGRAM_KEYS = 256
MAX_PROGRAM_KEYS_BYTES = 128 * 1024
"""Keys of programs, and their file: each request compares its key with all of them."""

MAX_PROGRAM_LABELS = 32
"""Programs with a time series of their own at /metrics; the others have one together."""

PLAN_INTERVAL = 60.0
"""Between two questions to the usage endpoint that the page may cause."""

CHECKS_AGE = 10.0
"""How long the page shows the same findings: each look at the disk takes a millisecond."""

MCP_CALL_TIMEOUT = 900
"""What a client shall wait for an answer, by our entry in its settings: a picture takes minutes."""

# Recordings.

MAX_RECORDING_BYTES = 256 * MIB
"""Of a folder of recordings. Beyond it, the oldest are removed."""

MAX_RECORDING_BODY_BYTES = 64 * MIB
"""Of one body in a recording. What is beyond it is left out."""

MAX_RECORDING_QUEUE_BYTES = MIB
"""Of events that wait, with `--record-content`, while the last delta may be a part of a token."""

MAX_RECORDING_BACKLOG_BYTES = 64 * MIB
"""Of bodies that a slow disk has not taken yet. What is beyond it is left out."""
