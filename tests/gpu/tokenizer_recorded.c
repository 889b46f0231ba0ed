#include "tokenizer_recorded.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/text/tokenizer.h"
#include "engine/weights/safetensors.h"

static char reference[4096];

void tokenizer_recorded_use(const char *folder) { snprintf(reference, sizeof reference, "%s", folder); }

Status tokenizer_open(const char *folder, const void *pieces, size_t bytes, Tokenizer **out)
{
    (void)pieces;
    (void)bytes;
    (void)folder;
    *out = (Tokenizer *)reference;
    return status_ok();
}

void tokenizer_close(Tokenizer **t) { *t = NULL; }

int tokenizer_vocab_size(const Tokenizer *t)
{
    (void)t;
    return 1; /* any text encoder has more */
}

/* "prompt.ids" or "negative.ids" of the reference, by the text that it was made with. */
static const char *name_of(const char *text)
{
    char *path = path_join(reference, "reference.json");
    json_t *note = json_load_file(path, 0, NULL), *call = json_object_get(note, "call");
    const char *prompt = json_string_value(json_object_get(call, "prompt"));
    const char *name = prompt && strcmp(prompt, text) == 0 ? "prompt.ids" : "negative.ids";
    json_decref(note);
    free(path);
    return name;
}

Status tokenizer_encode(const Tokenizer *t, const char *text, int max_tokens, int64_t *ids, int *count)
{
    char *path = path_join(reference, "reference.safetensors");
    Safetensors *file = NULL;
    (void)t;
    Status status = safetensors_open_file(path, &file);
    const StoredTensor *stored = failed(status) ? NULL : safetensors_find(file, name_of(text));
    if (!failed(status) && (!stored || stored->bytes != (size_t)max_tokens * sizeof *ids))
        status = status_fail(ERR_INPUT, "%s: no %d recorded token ids", path, max_tokens);
    if (!failed(status)) {
        memcpy(ids, stored->data, stored->bytes);
        *count = max_tokens;
        while (*count > 0 && ids[*count - 1] == 0) --*count; /* the end is </s>, padding is 0 */
    }
    safetensors_close(&file);
    free(path);
    return status;
}
