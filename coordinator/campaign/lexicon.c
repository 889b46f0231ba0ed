#include "lexicon.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/campaign/customers.h"

struct Lexicon {
    Customers table;
    int word, say;
};

Lexicon *lexicon_read(const char *path, Place place, Faults *faults)
{
    if (!file_exists(path) || file_is_folder(path)) {
        faults_add(faults, place, "%s: no such file", path);
        return NULL;
    }
    Lexicon *l = memory_get(1, sizeof *l);
    customers_read(path, &(CustomersOptions){.id = "word"}, faults, &l->table);
    l->word = customers_column(&l->table, "word");
    l->say = customers_column(&l->table, "say");
    if (l->word >= 0 && l->say < 0)
        faults_add(faults, (Place){path, 1, NULL}, "no column say, expected the columns word and say");
    if (l->word < 0 || l->say < 0) lexicon_free(&l);
    return l;
}

void lexicon_free(Lexicon **l)
{
    if (!*l) return;
    customers_free(&(*l)->table);
    free(*l);
    *l = NULL;
}

static bool is_letter(char c)
{
    return (c & 0x80) || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = text; n && (p = strstr(p, word)); p++)
        if ((p == text || !is_letter(p[-1])) && !is_letter(p[n])) return true;
    return false;
}

json_t *lexicon_for(const Lexicon *l, const char *text)
{
    json_t *list = json_array();
    for (int64_t row = 0; row < l->table.row_count; row++) {
        const char *word = customers_value(&l->table, row, l->word), *say = customers_value(&l->table, row, l->say);
        if (*say && has_word(text, word)) json_array_append_new(list, json_pack("{s:s,s:s}", "word", word, "say", say));
    }
    return list;
}
