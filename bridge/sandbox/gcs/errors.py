"""What the stand-in says when it says no, in the JSON and the XML API's words."""

from __future__ import annotations

from xml.sax.saxutils import escape

from starlette.responses import JSONResponse, Response

NO_BODY = frozenset({204, 304})

XML_CODES = {
    "conditionNotMet": "PreconditionFailed",
    "invalid": "InvalidArgument",
    "notFound": "NoSuchKey",
    "notImplemented": "NotImplemented",
}


class GcsError(Exception):
    """An answer that is not a success; `reason` is the JSON API's word, `xml_code` the XML API's."""

    def __init__(
        self, status: int, reason: str, message: str, *, xml_code: str | None = None, details: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.xml_code = xml_code or XML_CODES.get(reason, "InternalError")
        self.details = details
        self.headers: dict[str, str] = {}

    def as_json(self) -> Response:
        """Answer with `{"error": {"code", "message", "errors": [{"reason", "message", "domain"}]}}`."""
        if self.status in NO_BODY:
            return Response(status_code=self.status, headers=self.headers)
        detail = {"message": self.message, "domain": "global", "reason": self.reason}
        error = {"code": self.status, "message": self.message, "errors": [detail]}
        return JSONResponse({"error": error}, self.status, self.headers)

    def as_xml(self) -> Response:
        """
        Answer with `<Error><Code/><Message/><Details/></Error>`.

        `Details` is always there: google-cloud-storage 3.17.1 reads its text on every 400 for a part.
        """
        if self.status in NO_BODY:
            return Response(status_code=self.status, headers=self.headers)
        body = (
            "<?xml version='1.0' encoding='UTF-8'?>"
            f"<Error><Code>{self.xml_code}</Code><Message>{escape(self.message)}</Message>"
            f"<Details>{escape(self.details or self.message)}</Details></Error>"
        )
        return Response(body, self.status, self.headers, "application/xml; charset=UTF-8")


def invalid(message: str, *, xml_code: str | None = None) -> GcsError:
    """400: the request makes no sense; sending it again will not help."""
    return GcsError(400, "invalid", message, xml_code=xml_code)


def not_found(message: str, *, xml_code: str | None = None) -> GcsError:
    """404: no such bucket, object, generation or session."""
    return GcsError(404, "notFound", message, xml_code=xml_code)


def condition_not_met(message: str, *, reading: bool = False) -> GcsError:
    """412; a NotMatch condition of a read answers 304 (docs: request-preconditions)."""
    return GcsError(304 if reading else 412, "conditionNotMet", message)


def not_offered(what: str) -> GcsError:
    """501: the real service can do this and the stand-in cannot; better loud than wrong."""
    return GcsError(501, "notImplemented", f"the GCS stand-in does not offer {what}")
