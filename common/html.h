/* html.h - text into pages: whatever it says, it stays text. */
#ifndef REELWRIGHT_HTML_H
#define REELWRIGHT_HTML_H

#include <stdio.h>

void html_put(FILE *f,
              const char *text); /* escaped, for elements and quoted attributes; control characters become "?" */
/* A relative address: everything but the plainest characters is %-encoded, byte by byte. */
void html_put_address(FILE *f, const char *path);

#endif
