"""The OpenAPI 3.1 document of the interface, made of the things themselves: routes, modes, errors, settings.

document   paths and operations       asked     what a request can hold
answers    the answers by status      errors    an example of each error
headers    the answers' headers       schemas   what the bodies look like
"""

from app.api.openapi.document import Route, document

__all__ = ["Route", "document"]
