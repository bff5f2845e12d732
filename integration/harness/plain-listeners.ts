import type { AddressInfo } from 'node:net';
import { type Listeners, noStrangers } from '../../src/base/service.ts';

/**
 * Listeners of a service that runs inside a test: on the address that is asked for, and nobody is a stranger.
 */
export const plainListeners: Listeners = {
  strangers: noStrangers,
  listen: (_name, server, address) =>
    new Promise((ready, fail) => {
      server.once('error', fail);
      server.listen(address.port, address.host, () => {
        ready({ host: address.host, port: (server.address() as AddressInfo).port });
      });
    }),
};
