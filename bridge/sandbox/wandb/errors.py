"""How a resolver refuses: a GraphQL error that also decides the HTTP status of the whole answer."""

from __future__ import annotations

from graphql import GraphQLError


class Refused(GraphQLError):
    """
    A refusal with the HTTP status it is sent with.

    That the real service answers the same texts and statuses is a guess, but for those the SDK matches.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, extensions={"code": status})
        self.status = status
