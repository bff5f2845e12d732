/**
 * Offered (ALPN) by a client of an auth server that comes by way of a proxy: the proxy passes such a
 * connection on, unopened. An auth server never chooses it.
 */
export const relayProtocol = 'teleport-relay/1';

/**
 * Chosen (ALPN) by the web port of a proxy: what comes after the handshake is SSH. Names of other clients
 * are the web's.
 */
export const sshProtocol = 'teleport-ssh';
