// What the page says, in the language of the browser: Portuguese where it is that, else English.

const TEXTS = {
  en: {
    subtitle: 'simulated Rio, city time', active: 'active rides', searching: 'searching',
    completed: 'completed', fleet: 'Drivers', withPassenger: 'with passenger',
    toPickup: 'to the pickup', boarding: 'boarding', offered: 'has an offer', idle: 'free',
    waiting: 'looking for a car', people: 'People', cityTime: 'city time',
    wait: 'wait for a driver', pickup: 'until the car is there', money: 'Money',
    playMoney: 'simulated Pix', paidOut: 'paid out to drivers', payouts: 'payouts', engine: 'Engine',
    realTime: 'real time', accept: 'accept answered', commit: 'commit × decisions',
    sockets: 'open sockets', offers: 'offers', last: 'Last rides',
    note: 'A drawn city and simulated people. Every car is a WebSocket session.',
    framesPerSecond: 'frames/s', lost: 'races lost', canceled: 'canceled',
    noDriver: 'no driver found', starting: 'The city wakes up …',
    gone: 'The demo has ended. Waiting for it …', fleetOf: 'with work',
    city: 'City', map: 'Map of the city. Places can also be chosen in the lists beside it.',
    zoomIn: 'Zoom in', zoomOut: 'Zoom out', wholeCity: 'Whole city', lightDark: 'Light or dark',

    ride: 'Ride', rideTitle: 'Ride in this city', from: 'From', to: 'To',
    choose: 'Tap the map or choose', near: (name) => `Near ${name}`,
    anywhere: 'Take me anywhere', planFrom: 'Where are you?', planTo: 'Where to?',
    planPrice: 'Asking for the price …', planReady: 'Ready when you are',
    planAway: (about, away) => `${about}; a car is ${away} away`,
    planNoCar: (about) => `${about}; no car is free just now`,
    minutes: (n) => `${n} min`, request: (fare) => `Request for ${fare}`,
    requestBare: 'Request a ride', changed: 'The price has changed.', sending: 'Sending …',
    queued: 'Kept until the line is back',
    steps: {
      searching: 'Looking for a driver …', accepted: 'Your driver is on the way',
      arriving: 'Your driver is nearly there', arrived: 'Your car is here',
      started: 'You are on your way', completed: 'You have arrived',
      canceled: 'The ride was canceled', no_driver: 'No driver was free',
    },
    carAway: (left) => `${left} away`, toGo: (left) => `${left} to go`,
    waitsForPin: 'waits for your PIN',
    pin: 'PIN', pinWhy: 'Only you know it. The driver cannot start without it.',
    tellPin: 'Get in and tell the PIN', told: 'The driver types it in …',
    cancel: 'Cancel', again: 'Ride again', rate: 'Rate your driver',
    stars: (n) => (n === 1 ? '1 star' : `${n} stars`),
    summary: (found, came, rode) =>
      `A driver in ${found}, the car after ${came}, the ride ${rode}, by the city's clock.`,
    by: {
      passenger: 'By you', driver: 'By the driver', admin: 'By support', system: 'By the engine',
    },
    fee: (fee) => `fee ${fee}`,
    noDriverHint: 'All cars nearby are busy. Try again in a moment.',

    session: 'Session', log: 'What is said', here: 'Ride here',
    states: {
      idle: 'not connected', connecting: 'connecting', open: 'connected', polling: 'long poll',
      waiting: 'reconnecting', stopped: 'stopped', inTunnel: 'in a tunnel',
    },
    tunnel: 'Tunnel', tunnelOut: (s) => `Out in ${s} s`,
    block: 'Block WebSockets', unblock: 'Allow WebSockets',
    lineOpen: 'One WebSocket of the official client, opened with a ticket. Try to break it:',
    lineTunnel: 'Nothing gets through. The ride goes on without this page.',
    lineWaiting: 'The client tries again by itself.',
    linePolling: 'No WebSocket opens: events come by long poll, commands go over REST.',
    resumed: (s, n) =>
      `Resumed after ${s} s; ${n ? `missed events caught up: ${n}` : 'nothing was missed'}.`,
    fresh: (s) => `Back after ${s} s, with a new snapshot.`,
    superseded: 'You ride in another window now.',
    refused: {
      active_ride_exists: 'You already have a ride.', too_far: 'That is too far.',
      debt_outstanding: 'A fee is still open.', expired: 'No answer in time. Try again.',
      outside_service_area: 'That is outside the city.',
    },
    refusedOther: (code) => `The engine refused: ${code}`,
  },
  pt: {
    subtitle: 'Rio simulado, relógio da cidade', active: 'corridas ativas', searching: 'buscando',
    completed: 'concluídas', fleet: 'Motoristas', withPassenger: 'com passageiro',
    toPickup: 'a caminho', boarding: 'embarque', offered: 'com oferta', idle: 'livre',
    waiting: 'procurando carro', people: 'Pessoas', cityTime: 'relógio da cidade',
    wait: 'espera por motorista', pickup: 'até o carro chegar', money: 'Dinheiro',
    playMoney: 'Pix simulado', paidOut: 'pago a motoristas', payouts: 'repasses', engine: 'Motor',
    realTime: 'tempo real', accept: 'aceite respondido', commit: 'commit × decisões',
    sockets: 'sockets abertos', offers: 'ofertas', last: 'Últimas corridas',
    note: 'Cidade desenhada, pessoas simuladas. Cada carro é uma sessão WebSocket.',
    framesPerSecond: 'quadros/s', lost: 'disputas perdidas', canceled: 'cancelada',
    noDriver: 'sem motorista', starting: 'A cidade está acordando …',
    gone: 'A demo terminou. Esperando por ela …', fleetOf: 'com trabalho',
    city: 'Cidade', map: 'Mapa da cidade. Os lugares também estão nas listas ao lado.',
    zoomIn: 'Aproximar', zoomOut: 'Afastar', wholeCity: 'Cidade inteira',
    lightDark: 'Claro ou escuro',

    ride: 'Corrida', rideTitle: 'Ande nesta cidade', from: 'De', to: 'Para',
    choose: 'Toque no mapa ou escolha', near: (name) => `Perto de ${name}`,
    anywhere: 'Qualquer lugar', planFrom: 'Onde você está?', planTo: 'Para onde?',
    planPrice: 'Consultando o preço …', planReady: 'É só pedir',
    planAway: (about, away) => `${about}; carro a ${away}`,
    planNoCar: (about) => `${about}; nenhum carro livre agora`,
    minutes: (n) => `${n} min`, request: (fare) => `Pedir por ${fare}`,
    requestBare: 'Pedir uma corrida', changed: 'O preço mudou.', sending: 'Enviando …',
    queued: 'Guardado até a conexão voltar',
    steps: {
      searching: 'Procurando motorista …', accepted: 'Seu motorista está a caminho',
      arriving: 'Seu motorista está chegando', arrived: 'Seu carro chegou',
      started: 'Você está a caminho', completed: 'Você chegou',
      canceled: 'A corrida foi cancelada', no_driver: 'Nenhum motorista livre',
    },
    carAway: (left) => `a ${left} de você`, toGo: (left) => `faltam ${left}`,
    waitsForPin: 'espera seu PIN',
    pin: 'PIN', pinWhy: 'Só você sabe. Sem ele o motorista não pode iniciar.',
    tellPin: 'Embarcar e dizer o PIN', told: 'O motorista está digitando …',
    cancel: 'Cancelar', again: 'Pedir outra', rate: 'Avalie o motorista',
    stars: (n) => (n === 1 ? '1 estrela' : `${n} estrelas`),
    summary: (found, came, rode) =>
      `Motorista em ${found}, carro após ${came}, corrida de ${rode}, no relógio da cidade.`,
    by: {
      passenger: 'Por você', driver: 'Pelo motorista', admin: 'Pelo suporte',
      system: 'Pelo sistema',
    },
    fee: (fee) => `taxa ${fee}`,
    noDriverHint: 'Todos os carros próximos estão ocupados. Tente de novo em instantes.',

    session: 'Sessão', log: 'O que é dito', here: 'Continuar aqui',
    states: {
      idle: 'desconectado', connecting: 'conectando', open: 'conectado', polling: 'long poll',
      waiting: 'reconectando', stopped: 'encerrado', inTunnel: 'no túnel',
    },
    tunnel: 'Túnel', tunnelOut: (s) => `Fora em ${s} s`,
    block: 'Bloquear WebSockets', unblock: 'Permitir WebSockets',
    lineOpen: 'Um WebSocket do cliente oficial, aberto com um ticket. Tente derrubá-lo:',
    lineTunnel: 'Nada passa. A corrida continua sem esta página.',
    lineWaiting: 'O cliente tenta de novo sozinho.',
    linePolling: 'Nenhum WebSocket abre: eventos por long poll, comandos por REST.',
    resumed: (s, n) =>
      `Retomada após ${s} s; ${n ? `eventos perdidos recuperados: ${n}` : 'nada se perdeu'}.`,
    fresh: (s) => `De volta após ${s} s, com um novo snapshot.`,
    superseded: 'Você agora está em outra janela.',
    refused: {
      active_ride_exists: 'Você já tem uma corrida.', too_far: 'É longe demais.',
      debt_outstanding: 'Há uma taxa em aberto.', expired: 'Sem resposta a tempo. Tente de novo.',
      outside_service_area: 'Fora da cidade.',
    },
    refusedOther: (code) => `O sistema recusou: ${code}`,
  },
};
const language = (navigator.language || 'en').toLowerCase().startsWith('pt') ? 'pt' : 'en';
export const locale = language === 'pt' ? 'pt-BR' : 'en';
export const text = TEXTS[language];

export const money = new Intl.NumberFormat(locale, { style: 'currency', currency: 'BRL' });

const metres = new Intl.NumberFormat(locale, { style: 'unit', unit: 'meter' });
const kilometres =
  new Intl.NumberFormat(locale, { style: 'unit', unit: 'kilometer', maximumFractionDigits: 1 });

const seconds = new Intl.NumberFormat(locale, { style: 'unit', unit: 'second' });

/** A time as people say it. */
export const time = (s) =>
  (s < 90 ? seconds.format(Math.round(s)) : text.minutes(Math.round(s / 60)));

/** A length as people say it. */
export const length = (m) =>
  (m < 950 ? metres.format(Math.round(m / 10) * 10) : kilometres.format(m / 1000));
