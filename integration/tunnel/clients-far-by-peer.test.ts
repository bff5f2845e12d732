import { describeClients } from './client-suite.ts';

describeClients('a peer', { delayMs: 40, lossPercent: 1 });
