#include "variants.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/hash.h"

int variants_arm(const char *variant, const char *id, int arms)
{
    char digest[HASH_TEXT];
    Hash *h = hash_begin();
    hash_add_field(h, "variant", "%s", variant);
    hash_add_field(h, "id", "%s", id);
    hash_end(h, digest);
    digest[8] = 0;
    return (int)(strtoul(digest, NULL, 16) % (unsigned)arms);
}

/* How many arms the variant has that begins with this pair; they stand together. */
static int arms_of(const YamlPairs *p, int first)
{
    int n = 0;
    while (first + n < p->count && strcmp(p->item[first + n].group, p->item[first].group) == 0) n++;
    return n;
}

void variants_add(CampaignLoad *l)
{
    Customers *c = &l->campaign->customers;
    const YamlPairs *p = &l->file.variants;
    if (p->count && c->column_count) c->first_variant = c->column_count;
    for (int i = 0, arms; i < p->count && c->column_count; i += arms) {
        const char *name = p->item[i].group;
        arms = arms_of(p, i);
        if (customers_column(c, name) >= 0) {
            faults_add(l->faults, (Place){l->campaign->file, p->item[i].line, "variants"},
                       "%s is called like a column of the customers; give it another name", quoted(name).text);
            continue;
        }
        if (c->column_count == CUSTOMERS_MAX_COLUMNS) {
            faults_add(l->faults, (Place){l->campaign->file, p->item[i].line, "variants"},
                       "%s is one column too many: the customers' columns and the variants are more than %d; leave out "
                       "what no template names",
                       quoted(name).text, CUSTOMERS_MAX_COLUMNS);
            return;
        }
        int column = customers_add_column(c, name);
        for (int64_t row = 0; row < c->row_count && c->id_column >= 0; row++) {
            const char *id = customers_value(c, row, c->id_column);
            const char *value = p->item[i + variants_arm(name, id ? id : "", arms)].value;
            c->value[row * c->column_count + column] = customers_keep(c, value, strlen(value));
        }
    }
}

char *variants_text(const CampaignLoad *l, int64_t row)
{
    const Customers *c = &l->campaign->customers;
    const YamlPairs *p = &l->file.variants;
    const char *id = customers_value(c, row, c->id_column);
    char *text = NULL;
    for (int i = 0, arms; i < p->count; i += arms) {
        arms = arms_of(p, i);
        const char *arm = p->item[i + variants_arm(p->item[i].group, id, arms)].name;
        char *more = text_format("%s%s%s=%s", text ? text : "", text ? "," : "", p->item[i].group, arm);
        free(text);
        text = more;
    }
    return text;
}
