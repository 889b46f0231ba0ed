/* html.h - text into pages: whatever it says, it stays text. */
#ifndef REELWRIGHT_HTML_H
#define REELWRIGHT_HTML_H

#include <stdio.h>

void html_put(FILE *f,
              const char *text); /* escaped, for elements and quoted attributes; control characters become "?" */
/* The same as an element of its own within a line: characters that turn the direction of writing turn nothing else round. */
void html_put_apart(FILE *f, const char *text);
/* A relative address: everything but the plainest characters is %-encoded, byte by byte. */
void html_put_address(FILE *f, const char *path);

#endif
