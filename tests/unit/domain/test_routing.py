from gateway.domain.routing import Route
from gateway.domain.telling import Item

ROUTES = (Route("warning", ("mail", "log")), Route("critical", ("sms", "mail")))
WARNING = Item("c", "raised", "a", "machine", "warning", "VB-1", "", 0, 0, "plant", "hall-2", "pump-7")
