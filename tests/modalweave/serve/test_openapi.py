"""The API keeps to its own description, whatever it is asked."""

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from modalweave.serve.app import make_app
from modalweave.serve.explorer import Explorer
from modalweave.serve.guard import Access

HERE = {"Host": "localhost"}
CALM = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def test_no_question_breaks_it(explorer: Explorer) -> None:
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", make_app(explorer, Access()), headers=HERE)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 11
    for operation in operations:

        @CALM
        @given(operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            # a question that reads well may still be about something that is not there
            case.call_and_validate(headers=HERE, excluded_checks=[positive_data_acceptance])

        ask()
