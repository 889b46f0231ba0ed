/* clean_html.h - HTML character references to characters. */
#ifndef REELWRIGHT_CLEAN_HTML_H
#define REELWRIGHT_CLEAN_HTML_H

#include "engine/text/clean_text.h"

/* As HTML5 (and Python's html.unescape) reads them: also "&amp" without semicolon, "&notit;" as the longest known beginning. */
void clean_html_unescape(CleanText *t);
/* As ftfy does: only whole references with their semicolon, and names in capitals that HTML does not know ("&NTILDE;"). */
void clean_html_unescape_whole(CleanText *t);

#endif
