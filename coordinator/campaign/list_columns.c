#include "list_columns.h"

#include <string.h>

const char *const list_column[LIST_COLUMNS] = {
    "clip_id",  "status", "reason", "file",       "thumbnail",   "sha256",     "duration_s", "width",
    "height",   "seed",   "shot",   "model",      "reviewer",    "decided_at", "fallbacks",  "variant",
    "captions", "gif",    "page",   "disclosure", "credentials", "watermark"};

bool list_columns_has(const char *name)
{
    for (int i = 0; i < LIST_COLUMNS; i++)
        if (strcmp(list_column[i], name) == 0) return true;
    return false;
}

bool list_is_formula(const char *text)
{
    text += strspn(text, "'");
    if (strchr("=@\t\r", text[0])) return text[0] != 0;
    return (text[0] == '+' || text[0] == '-') && text[1 + strspn(text + 1, "0123456789.,()/- ")] != 0;
}

char *list_plain(char *text) { return text[0] == '\'' && list_is_formula(text) ? text + 1 : text; }
