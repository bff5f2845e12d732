"""moto's DynamoDB or S3 on 127.0.0.1, in memory. Arguments: the port, and which: dynamodb or s3.

moto's own program (moto_server) lets threads run into each other: nothing holds its table between the look at a
condition and the write, so that of several conditional puts of one item more than one may win. DynamoDB promises
that one does, and the tests rest on it: here one request is carried out at a time.
"""

import io
import logging
import sys
from threading import Lock

from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.serving import run_simple

engine = create_backend_app(sys.argv[2])
turn = Lock()


def one_at_a_time(environ, start_response):
    # Read first: a client that stops in mid-request holds up nobody else.
    length = int(environ.get("CONTENT_LENGTH") or 0)
    environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
    with turn:
        return engine(environ, start_response)


logging.getLogger("werkzeug").setLevel(logging.ERROR)
run_simple("127.0.0.1", int(sys.argv[1]), one_at_a_time, threaded=True)
