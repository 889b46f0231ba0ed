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
