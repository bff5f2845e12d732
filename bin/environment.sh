# Sourced by the launchers, which set $name: takes away what the runtime would obey and we would not. With these, code of
# others is loaded (NODE_OPTIONS, NODE_PATH, NODE_COMPILE_CACHE, OPENSSL_CONF and its like), secrets are written down
# (NODE_OPTIONS=--tls-keylog, NODE_DEBUG, NODE_V8_COVERAGE), certificates are not checked (NODE_TLS_REJECT_UNAUTHORIZED), or
# descriptors are taken for another's. What is obeyed, and what is not, is in docs/running.md.
dropped=
for variable in NODE_OPTIONS NODE_TLS_REJECT_UNAUTHORIZED NODE_PATH NODE_DEBUG NODE_DEBUG_NATIVE NODE_V8_COVERAGE \
  NODE_COMPILE_CACHE NODE_COMPILE_CACHE_PORTABLE NODE_DISABLE_COMPILE_CACHE NODE_REDIRECT_WARNINGS NODE_ICU_DATA \
  NODE_PRESERVE_SYMLINKS NODE_PRESERVE_SYMLINKS_MAIN NODE_USE_ENV_PROXY NODE_USE_SYSTEM_CA NODE_REPL_EXTERNAL_MODULE \
  NODE_REPL_HISTORY NODE_CHANNEL_FD NODE_CHANNEL_SERIALIZATION_MODE NODE_UNIQUE_ID NODE_TEST_CONTEXT NODE_TEST_WORKER_ID \
  OPENSSL_CONF OPENSSL_CONF_INCLUDE OPENSSL_MODULES OPENSSL_ENGINES SSLKEYLOGFILE; do
  eval "[ -z \"\${$variable-}\" ]" || dropped="$dropped $variable"
  unset "$variable"
done
[ -z "$dropped" ] || echo "WARNING: $name does not obey$dropped of the environment (docs/running.md)" >&2
unset dropped variable
# The runtime resets signals that whoever starts us had set to be ignored (nohup, a background command of a script): the program
# is told of them and ignores them again.
TELEPORT_IGNORED_SIGNALS=
while read -r _field TELEPORT_IGNORED_SIGNALS; do
  [ "$_field" != SigIgn: ] || break
done 2>/dev/null </proc/$$/status
export TELEPORT_IGNORED_SIGNALS
unset _field
