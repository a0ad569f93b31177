/* conf_rows.h: expands conf.def with the row macros its includer defined, then undefines them.
 * It has no guard on purpose: each user sees the table in its own shape. */
#include "conf/conf.def"
#undef CONF_NUM
#undef CONF_SIZE
#undef CONF_BOOL
#undef CONF_ENUM
#undef CONF_TEXT
