"""What is asked about usage: `/v1/usage` and, in OpenAI's shape, `/v1/organization/usage/…` and `/costs`."""
