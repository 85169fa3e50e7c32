"""Answering for others: in a program's own loop, or as a server with OpenAI's chat interface.

The server's modules need FastAPI, uvicorn and prometheus-client (the extra `serve`); `Answerer` needs none of them.
"""
