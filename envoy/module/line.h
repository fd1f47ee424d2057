// What the spool's line says of a request beyond what Envoy counts: members of a JSON object, as metadata.

#ifndef HEADGATE_MODULE_LINE_H
#define HEADGATE_MODULE_LINE_H

// When the stream is over, before its line is written.
void line_write(void *envoy);

#endif
