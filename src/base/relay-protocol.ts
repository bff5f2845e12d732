/**
 * Offered (ALPN) by a client of an auth server that comes by way of a proxy: the proxy passes such a
 * connection on, unopened. An auth server never chooses it.
 */
export const relayProtocol = 'teleport-relay/1';
