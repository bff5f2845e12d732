import { describeClients } from './client-suite.ts';

await describeClients('a peer', { delayMs: 40, lossPercent: 1 });
