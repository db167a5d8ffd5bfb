import { registerOffline } from '../js/offline.js';

registerOffline();
