#include "page.h"

#include <string.h>

const PageOwnName page_own[PAGE_COUNT] = {
#define PAGE_ROW(name, kind, about) {#name, kind},
    PAGE_LIST(PAGE_ROW)
#undef PAGE_ROW
};

int page_own_find(const char *name)
{
    for (int i = 0; i < PAGE_COUNT; i++)
        if (strcmp(page_own[i].name, name) == 0) return i;
    return -1;
}
