"""The names of attributes: from OpenTelemetry's semantic conventions, and a few of our own under ``trioreg.``.

``rpc.*`` and ``error.type`` are stable in the version that `SCHEMA_URL` names. ``messaging.*`` is still in development
there. All attributes of metrics have few values: no registered name, no number of an actor, no topic.
"""

SCHEMA_URL = "https://opentelemetry.io/schemas/1.45.0"
SYSTEM = "trioreg"

ERROR_TYPE = "error.type"

RPC_SYSTEM = "rpc.system.name"
RPC_METHOD = "rpc.method"
RPC_STATUS = "rpc.response.status_code"

MESSAGING_SYSTEM = "messaging.system"
OPERATION = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
DESTINATION_TEMPLATE = "messaging.destination.template"

ACTOR_CLASS = "trioreg.actor.class"
METHOD = "trioreg.message.method"
KIND = "trioreg.message.kind"
OUTCOME = "trioreg.message.outcome"
REASON = "trioreg.exit.reason"
REACHED = "trioreg.publication.count"
REGISTRY = "trioreg.registry"
