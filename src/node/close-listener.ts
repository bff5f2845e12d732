import type { Server } from 'node:net';

/** Takes nobody any more. Resolves when all who were taken are gone; also of one that does not listen. */
export const closeListener = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
  });
