from componentize_py_types import Err
from wit_world import WitWorld
from wit_world.imports import outgoing_handler
from wit_world.imports.types import Fields, Method_Get, OutgoingRequest, Scheme_Http


class WitWorld(WitWorld):
    def get(self, authority: str, path: str) -> str:
        request = OutgoingRequest(Fields.from_list([]))
        request.set_method(Method_Get())
        request.set_scheme(Scheme_Http())
        request.set_authority(authority)
        request.set_path_with_query(path)
        # A resource must not outlive what it was made from, and `with` ends them in order.
        with sent(request) as response, response.consume() as body:
            text = b""
            with body.stream() as stream:
                while True:
                    try:
                        text += stream.blocking_read(65536)
                    except Err:
                        break
            return f"{response.status()} {text.decode()}"


def sent(request):
    try:
        with outgoing_handler.handle(request, None) as future:
            with future.subscribe() as answered:
                answered.block()
            answer = future.get()
    except Err as refused:
        raise Err(str(refused.value))
    # A result within a result: it is there, and it can be taken once.
    while hasattr(answer, "value"):
        if isinstance(answer, Err):
            raise Err(str(answer.value))
        answer = answer.value
    return answer
