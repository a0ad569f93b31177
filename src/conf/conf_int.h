/* conf_int.h: what the files of conf share among themselves. */
#ifndef CONF_CONF_INT_H
#define CONF_CONF_INT_H

#include "conf/conf.h"

/* conf_refuse writes one line to err and returns -EINVAL. */
int conf_refuse(char *err, size_t err_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* conf_unknown refuses a key that is not in the table and names the nearest one that is. */
int conf_unknown(const char *key, char *err, size_t err_size);
/* conf_value returns the number of an option; not for CONF_T_TEXT. */
uint64_t conf_value(const struct conf *c, const struct conf_option *o);

#endif
